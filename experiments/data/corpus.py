"""A folder of audio, or a manifest of one, as a corpus."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from codeclab.experiments.data.formats import EXTENSIONS, Header, read_header
from codeclab.experiments.data.manifest import MANIFEST_NAME, assign_splits, is_manifest, list_tree, read_manifest
from codeclab.experiments.data.measuring import FULL_BAND_RATE, FULL_BAND_SHARE
from codeclab.experiments.data.reader import read_excerpt
from codeclab.experiments.data.recording import SPLITS, Corpus, DataError, Recording

NAMES_IN_WARNING = 3
SLACK_SECONDS = 0.1
"""By which a segment may end after its file: decoders differ in how much they give of one."""
logger = logging.getLogger(__name__)


def scan(folder: str | Path, seed: int = 0) -> Corpus:
    """Finds the recordings of a folder or of a CSV manifest and splits them by file.

    A folder that holds a `manifest.csv` with a `path` column is read by it. Otherwise every audio file below the
    folder counts: top folders called train, valid or test (or val, validation, dev, eval) are the splits, if any;
    the first folder below (or the top folder where there are no splits) is the domain, "all" without one.
    Files that cannot be read, are empty or silent are left out and named in one warning.

    Args:
        folder: Folder or CSV file.
        seed: Of the split of those files that are in none.

    Raises:
        DataError: If it does not exist, is no CSV manifest, or holds no usable audio.
    """
    root = Path(folder).expanduser()
    skipped: list[tuple[str, str]] = []
    if root.is_file():
        if not is_manifest(root):
            raise DataError(
                f"{root} is neither a folder of audio nor a CSV manifest with a 'path' column (and, where known, "
                "split, domain, sample_rate, channels, seconds, full_band); `codeclab data scan FOLDER` writes one"
            )
        listed = read_manifest(root, skipped)
    elif root.is_dir():
        manifest = root / MANIFEST_NAME
        listed = read_manifest(manifest, skipped) if is_manifest(manifest) else list_tree(root, skipped)
    else:
        raise DataError(f"there is no folder or manifest {root}")
    if not listed and not skipped:
        raise DataError(f"no audio in {root}: looked in all its folders for {' '.join(sorted(EXTENSIONS))}")
    recordings = assign_splits(_check_all(listed, skipped), seed)
    if skipped:
        logger.warning(_skip_message(root, skipped, len(recordings)))
    if not recordings:
        raise DataError(f"no usable audio in {root}: {_skip_message(root, skipped, 0)}")
    by_split = {split: [r for r in recordings if r.split == split] for split in SPLITS}
    return Corpus(str(root), read_excerpt, by_split["train"], by_split["valid"], by_split["test"], skipped)


def judge_band(corpus: Corpus, sample_rate: int) -> Corpus:
    """The corpus as a codec at `sample_rate` Hz sees it: below 44.1 kHz, less is full-band.

    A recording is full-band for the codec if its manifest says so, or if the band measured there reaches nine tenths
    of the codec's Nyquist frequency (Improved RVQGAN, section 4.2).
    """
    if sample_rate >= FULL_BAND_RATE:
        return corpus
    enough = FULL_BAND_SHARE * sample_rate / 2

    def judge(recordings: list[Recording]) -> list[Recording]:
        return [replace(r, full_band=True) if r.band_hz is not None and r.band_hz >= enough else r for r in recordings]

    return replace(corpus, train=judge(corpus.train), valid=judge(corpus.valid), test=judge(corpus.test))


def _check_all(listed: list[Recording], skipped: list[tuple[str, str]]) -> list[Recording]:
    """Fills in what the headers say, where the manifest does not know it, and drops what is of no use."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        checked = list(pool.map(_check, listed))
    usable = []
    for recording, result in zip(listed, checked, strict=True):
        if isinstance(result, str):
            skipped.append((recording.name, result))
        else:
            usable.append(result)
    return usable


def _check(recording: Recording) -> Recording | str:
    other = recording.mixed
    if other is not None and not other.sample_rate:
        added = _read_header(other.path)
        if isinstance(added, str):
            return f"{other.path.name}, which is mixed into it, is {added}"
        recording = replace(recording, mixed=replace(other, sample_rate=added.sample_rate))
    if recording.sample_rate:
        return recording
    header = _read_header(recording.path)
    if isinstance(header, str):
        return header
    seconds = recording.seconds or header.seconds - recording.start
    if recording.start + seconds > header.seconds + SLACK_SECONDS:
        return f"a segment up to {recording.start + seconds:.2f} s of a file of {header.seconds:.2f} s"
    return replace(recording, sample_rate=header.sample_rate, channels=header.channels, seconds=seconds)


def _read_header(path: Path) -> Header | str:
    try:
        header = read_header(path)
    except OSError as error:
        return f"unreadable: {error}"
    return header.problem or header


def _skip_message(root: Path, skipped: list[tuple[str, str]], usable: int) -> str:
    shown = "; ".join(f"{name} ({reason})" for name, reason in skipped[:NAMES_IN_WARNING])
    more = f"; and {len(skipped) - NAMES_IN_WARNING} more" if len(skipped) > NAMES_IN_WARNING else ""
    return f"{root}: left out {len(skipped)} of {len(skipped) + usable} files: {shown}{more}"
