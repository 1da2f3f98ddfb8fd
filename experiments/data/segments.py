"""Test sets of segments: several of a file, seeded, without overlap, written as a manifest."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.wording import counted
from codeclab.experiments.data.augmentation import RandomGain
from codeclab.experiments.data.formats import SILENCE
from codeclab.experiments.data.manifest import COPY_COLUMN, read_manifest, write_rows
from codeclab.experiments.data.named import open_corpus
from codeclab.experiments.data.reader import read_excerpt
from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.segment_rules import Category, Rule
from codeclab.experiments.data.splits import draw_position

LEAST_SHARE = 0.9
"""Share of a segment's length at which a shorter file still counts: AudioSet's clips of 10 s often have 9.9."""
ATTEMPTS = 64
MOST_DRAWS = 100_000


def draw_segments(
    recordings: Sequence[Recording], rule: Rule, seed: int = 0, overlap: bool = False
) -> tuple[list[Recording], list[str]]:
    """The segments of a test set.

    A file of ``k`` whole segments gives ``k``, which begin at a random place in its first remainder; from all of a
    category's files those with the lowest hash of seed and name are taken, so that a smaller set is the beginning of a
    larger one, and silent ones are passed over. What is mixed is brought, source by source, to the level and the random
    gain that EnCodec trains with (section 4.1), and drawn anew where it clips.

    Args:
        recordings: recordings of the test split.
        rule: rule with their duration and number.
        seed: seed of all draws.
        overlap: whether a category that is too short is filled up with segments that overlap.

    Returns:
        the segments as recordings, and a line for each category that is of other datasets than the rule's, or has
        fewer segments than it wants.

    Raises:
        DataError: a category has no recordings, or none long enough.
    """
    domains = sorted({r.domain for r in recordings})
    categories = rule.categories or tuple(Category(domain, (), domain) for domain in domains)
    test_segments: list[Recording] = []
    remarks = []
    for category in categories:
        chosen = category.chosen(recordings)
        noises = category.added.chosen(recordings) if category.added else []
        wanted = category if category.added is None or not chosen else category.added
        if not chosen or (category.added and not noises):
            sets = f"recordings of {' or '.join(wanted.datasets)}, or " if wanted.datasets else ""
            raise DataError(
                f"{category.name} needs {sets}the domain {wanted.domain!r} in the test split; there are: "
                f"{', '.join(domains)}. --rule domains takes every domain as it is"
            )
        remarks += _of_others(category, recordings)
        cut = _cut(chosen, rule.seconds, seed)
        if not cut:
            raise DataError(f"{category.name}: no test file is {rule.seconds:g} s long")
        segments = _taken(cut, rule.count)
        if len(segments) < rule.count:
            short = f"{category.name}: {len(segments)} of {counted(rule.count, 'segment')} of {rule.seconds:g} s fit"
            if overlap:
                more = _taken(_anywhere(chosen, rule.seconds, seed), rule.count - len(segments))
                segments += more
                remarks.append(f"{short}; {len(more)} more overlap them")
            else:
                remarks.append(f"{short} without overlap; --overlap adds segments that overlap")
        if noises:
            segments = [_mixed(segment, noises, rule.seconds, seed) for segment in segments]
        test_segments += [replace(segment, domain=category.name, split="test") for segment in segments]
    return test_segments, remarks


def _of_others(category: Category, recordings: Sequence[Recording]) -> list[str]:
    """A line for each part of a category that replaces the paper's datasets."""
    parts = [category, *([category.added] if category.added else [])]
    return [
        f"{part.name}: no test files of {' or '.join(part.datasets)}, so those of the domain {part.domain!r} are used"
        for part in parts
        if part.datasets and not part.of_datasets(recordings)
    ]


def _cut(recordings: Sequence[Recording], seconds: float, seed: int) -> list[Recording]:
    """All segments that fit side by side, by the hash of their names."""
    candidates = []
    for recording in recordings:
        count = int(recording.seconds / seconds + 1e-6)
        if count == 0 and recording.seconds >= LEAST_SHARE * seconds:
            candidates.append((draw_position(seed, f"{recording.name}#0"), _segment(recording, 0.0, recording.seconds)))
        slack = max(recording.seconds - count * seconds, 0.0)
        first = slack * draw_position(seed, f"{recording.name}#first")
        for index in range(count):
            position = draw_position(seed, f"{recording.name}#{index}")
            candidates.append((position, _segment(recording, first + index * seconds, seconds)))
    return [segment for _, segment in sorted(candidates, key=lambda pair: (pair[0], pair[1].name))]


def _anywhere(recordings: Sequence[Recording], seconds: float, seed: int) -> Iterator[Recording]:
    """Segments that begin anywhere, every second equally likely; limited in number, as all may be silent."""
    rng = np.random.default_rng([seed, 1])
    long = [recording for recording in recordings if recording.seconds > seconds]
    weights = np.array([recording.seconds - seconds for recording in long])
    for _ in range(MOST_DRAWS if long else 0):
        recording = long[int(rng.choice(len(long), p=weights / weights.sum()))]
        yield _segment(recording, float(rng.uniform(0, recording.seconds - seconds)), seconds)


def _taken(segments: Iterable[Recording], count: int) -> list[Recording]:
    """The first segments that are not silent."""
    audible: dict[str, Recording] = {}
    for segment in segments if count else ():
        if _peak(segment) > SILENCE:
            audible[segment.name] = segment
        if len(audible) == count:
            break
    return list(audible.values())


def _segment(recording: Recording, start: float, seconds: float) -> Recording:
    start = round(start, 3)
    name = f"{recording.name}@{start:.3f}"
    return replace(recording, start=recording.start + start, seconds=seconds, name=name, part_of=recording.name)


def _mixed(segment: Recording, noises: Sequence[Recording], seconds: float, seed: int) -> Recording:
    """A segment with a noise in it, both normalized and with a gain as EnCodec's training mixes them."""
    rng = np.random.default_rng([seed, int(2**32 * draw_position(seed, segment.name))])
    gain = RandomGain()
    for _ in range(ATTEMPTS):
        noise = noises[int(rng.integers(len(noises)))]
        start = round(float(rng.uniform(0.0, max(noise.seconds - seconds, 0.0))), 3)
        gains = [_gain_db(gain, part, begin, seconds, rng) for part, begin in ((segment, 0.0), (noise, start))]
        source = replace(noise, start=noise.start + start, gain_db=round(gains[1], 2))
        name = f"{segment.name}+{noise.name}@{start:.3f}"
        mixture = replace(segment, gain_db=round(gains[0], 2), mixed=source, name=name)
        if _peak(mixture) <= 1.0 and _peak(noise, start, seconds) > SILENCE:
            return mixture
    raise DataError(f"{segment.name} clips, or is mixed with silence, in {ATTEMPTS} draws")


def _gain_db(gain: RandomGain, part: Recording, start: float, seconds: float, rng: np.random.Generator) -> float:
    level = part.rms_db
    if level is None:
        audio = read_excerpt(part, start, min(seconds, part.seconds - start), part.sample_rate, part.channels)
        level = 20 * float(np.log10(max(float(audio.square().mean().sqrt()), SILENCE)))
    return gain.target_db - level + float(rng.uniform(gain.low_db, gain.high_db))


def _peak(part: Recording, start: float = 0.0, seconds: float | None = None) -> float:
    long = min(part.seconds - start, seconds or part.seconds)
    return float(read_excerpt(part, start, long, part.sample_rate, part.channels).abs().max())


def write_segments(
    folder: str, output: Path, rule: Rule, seed: int = 0, overlap: bool = False, like: Path | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write a corpus' manifest with a test set of segments in place of its test files.

    Args:
        folder: folder of audio, or path of a manifest.
        output: path of the manifest to write.
        rule: duration of the segments and their number in each domain.
        seed: seed of all draws, 0 or more.
        overlap: whether a category that is too short is filled up with segments that overlap.
        like: path of a manifest whose segments are taken instead; None draws them.

    Returns:
        rows of the manifest, and remarks on what was drawn.

    Raises:
        DataError: there is no such corpus, a size is not positive, or a category cannot be drawn.
    """
    if rule.seconds <= 0 or rule.count <= 0 or seed < 0:
        raise DataError("--seconds and --count should be above 0, and --seed 0 or more")
    corpus = open_corpus(folder)
    remarks: list[str] = []
    if like is not None:
        segments = _segments_like(like, corpus.split("all"))
    else:
        segments, remarks = draw_segments(corpus.split("test"), rule, seed, overlap)
    rows = [_manifest_row(recording) for recording in [*corpus.train, *corpus.valid, *segments]]
    write_atomically(output, write_rows(rows))
    return rows, remarks


def _segments_like(manifest: Path, recordings: Sequence[Recording]) -> list[Recording]:
    """The segments of another copy's test set, whose paths are ignored, in this copy's recordings of the same names."""
    own = {recording.name: recording for recording in recordings}
    segments = []
    for listed in read_manifest(manifest, []):
        if not listed.part_of:
            continue
        other = listed.mixed
        for name in (listed.part_of, other.name if other else listed.part_of):
            if name not in own:
                raise DataError(f"{manifest} has a segment of {name}, which this corpus does not have")
        if other is not None:
            other = replace(other, path=own[other.name].path, sample_rate=own[other.name].sample_rate)
        source = own[listed.part_of]
        segment = replace(listed, path=source.path, sample_rate=source.sample_rate, channels=source.channels)
        segments.append(replace(segment, mixed=other))
    if not segments:
        raise DataError(f"{manifest} lists no segments; `codeclab data segments` writes them")
    return segments


def _manifest_row(recording: Recording) -> dict[str, object]:
    """The row of a file or a segment, with absolute paths; ``write_rows`` writes it."""
    row: dict[str, object] = {
        "path": recording.path.absolute().as_posix(), "name": recording.name, "split": recording.split,
        "domain": recording.domain, "sample_rate": recording.sample_rate, "channels": recording.channels,
        "seconds": f"{recording.seconds:.3f}", "full_band": recording.full_band, "band_hz": recording.band_hz,
        "rms_db": recording.rms_db,
    }  # fmt: skip
    if recording.speaker:
        row["speaker"] = recording.speaker
    if recording.copy_of:
        row[COPY_COLUMN] = recording.copy_of
    if recording.part_of:
        row |= {"part_of": recording.part_of, "start": f"{recording.start:.3f}", "length": f"{recording.seconds:.3f}"}
    if recording.gain_db:
        row["gain_db"] = f"{recording.gain_db:.2f}"
    if (other := recording.mixed) is not None:
        row |= {"mix_part_of": other.name, "mix_path": other.path.absolute().as_posix()}
        row |= {"mix_start": f"{other.start:.3f}", "mix_gain_db": f"{other.gain_db:.2f}"}
    return {key: value for key, value in row.items() if value is not None}
