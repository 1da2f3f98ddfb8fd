"""Writes a corpus' manifest with a test set of segments."""

from pathlib import Path
from typing import Any

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.data.manifest import write_rows
from codeclab.experiments.data.named import open_corpus
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.data.segment_rules import Rule
from codeclab.experiments.data.segments import draw_segments, manifest_row, segments_like


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
        segments = segments_like(like, corpus.split("all"))
    else:
        segments, remarks = draw_segments(corpus.split("test"), rule, seed, overlap)
    rows = [manifest_row(recording) for recording in [*corpus.train, *corpus.valid, *segments]]
    write_atomically(output, write_rows(rows))
    return rows, remarks
