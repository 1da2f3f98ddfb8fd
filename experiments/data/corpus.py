"""A folder of audio, or a manifest of one, as a corpus."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from codeclab.codecs.wording import counted
from codeclab.experiments.data.formats import AudioHeader, segment_seconds
from codeclab.experiments.data.headers import headers_of
from codeclab.experiments.data.left_out import listed_reasons
from codeclab.experiments.data.manifest import (
    MANIFEST_NAME,
    is_manifest,
    list_tree,
    read_manifest,
    refuse_empty,
    refuse_source,
)
from codeclab.experiments.data.measuring import FULL_BAND_RATE, FULL_BAND_SHARE
from codeclab.experiments.data.once import warn_once
from codeclab.experiments.data.reader import read_excerpt
from codeclab.experiments.data.recording import SPLITS, Corpus, DataError, Recording
from codeclab.experiments.data.splits import assign_splits, overlap_remark, split_remark


def scan(folder: str | Path, seed: int = 0, known: Mapping[str, str] | None = None, floor: bool = True) -> Corpus:
    """Find the recordings of a folder or of a CSV manifest and split them by file.

    A folder that holds a ``manifest.csv`` with a ``path`` column is read by it. Otherwise every audio file below the
    folder counts: top folders called train, valid or test (or val, validation, dev, eval) are the splits, if any;
    the first folder below (or the top folder where there are no splits) is the domain, "all" without one.
    Files that cannot be read, are empty or silent are left out and named in one warning.

    Args:
        folder: folder or CSV file.
        seed: seed of the split of files that have none.
        known: earlier splits of files, by name: the training files of a run stay training files.
        floor: rule for files that come later, as in ``assign_splits``.

    Raises:
        DataError: it does not exist, is no CSV manifest, or holds no usable audio.
    """
    root = Path(folder).expanduser()
    skipped: list[tuple[str, str]] = []
    lost: dict[str, str] = {}
    home = Path(os.path.abspath(root if root.is_dir() else root.parent))
    manifest = root / MANIFEST_NAME if root.is_dir() else root
    if is_manifest(manifest):
        listed = read_manifest(manifest, skipped, lost)
    elif root.is_dir():
        listed = list_tree(root, skipped, lost)
    else:
        refuse_source(root)
    if not listed and not skipped:
        refuse_empty(root)
    usable = _check_all(root, listed, skipped)
    left_out = {name for name, _ in skipped}
    lost |= {one.name: one.split for one in listed if one.split is not None and one.name in left_out}
    recordings = assign_splits(usable, seed, known, floor)
    for remark in (split_remark(usable, recordings), overlap_remark(recordings)) if known is None else ():
        if remark:
            warn_once(__name__, f"{root}: {remark}")
    if not recordings:
        lacking = is_manifest(manifest) and bool(listed) and not any(one.path.exists() for one in listed)
        hint = f". None of its files exists; paths are relative to the manifest's folder, {home}" if lacking else ""
        raise DataError(f"no usable audio in {root}: {_skip_message(skipped, 0)}{hint}")
    if skipped:
        warn_once(__name__, f"{root}: {_skip_message(skipped, len(recordings))}")
    by_split = {split: [r for r in recordings if r.split == split] for split in SPLITS}
    gives_test = any(one.split == "test" for one in usable)
    return Corpus(str(root), read_excerpt, **by_split, skipped=skipped, folder=home, lost=lost, gives_test=gives_test)


def judge_band(corpus: Corpus, sample_rate: int) -> Corpus:
    """The corpus for a codec at ``sample_rate`` Hz: below 44.1 kHz, a narrower band is full-band.

    A recording is full-band for the codec if its manifest says so, or if the band measured there reaches nine tenths
    of the codec's Nyquist frequency (Improved RVQGAN, section 4.2).
    """
    if sample_rate >= FULL_BAND_RATE:
        return corpus
    enough = FULL_BAND_SHARE * sample_rate / 2

    def judge(recordings: list[Recording]) -> list[Recording]:
        return [replace(r, full_band=True) if r.band_hz is not None and r.band_hz >= enough else r for r in recordings]

    return replace(corpus, train=judge(corpus.train), valid=judge(corpus.valid), test=judge(corpus.test))


def _check_all(root: Path, listed: list[Recording], skipped: list[tuple[str, str]]) -> list[Recording]:
    """Fill in the headers that the manifest lacks, and drop files that cannot be used."""
    paths = [recording.path for recording in listed if not recording.sample_rate]
    paths += [one.mixed.path for one in listed if one.mixed is not None and not one.mixed.sample_rate]
    headers = headers_of(root, list(dict.fromkeys(paths)))
    usable = []
    for recording in listed:
        result = _with_headers(recording, headers)
        if isinstance(result, str):
            skipped.append((recording.name, result))
        else:
            usable.append(result)
    return usable


def _with_headers(recording: Recording, headers: Mapping[Path, AudioHeader | str]) -> Recording | str:
    """The recording with the header of its file and of what is mixed into it, or why it cannot be used."""
    other = recording.mixed
    if other is not None and not other.sample_rate:
        added = headers[other.path]
        if isinstance(added, str):
            return f"{other.path.name}, which is mixed into it, is {added}"
        recording = replace(recording, mixed=replace(other, sample_rate=added.sample_rate))
    if recording.sample_rate:
        return recording
    header = headers[recording.path]
    if isinstance(header, str):
        return header
    seconds = segment_seconds(header, recording.start, recording.seconds)
    if isinstance(seconds, str):
        return seconds
    return replace(recording, sample_rate=header.sample_rate, channels=header.channels, seconds=seconds)


def _skip_message(skipped: list[tuple[str, str]], usable: int) -> str:
    of_all = f"{len(skipped)} of {counted(len(skipped) + usable, 'file')}"
    return f"left out {of_all}: {listed_reasons(skipped)}"
