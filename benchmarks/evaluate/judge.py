"""Scores decoded clips of a codec or a baseline."""

import platform
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from torch import Tensor

import codeclab
from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.progress import progress_bar
from codeclab.benchmarks.evaluate.scoring import Pending, Scorer
from codeclab.benchmarks.metrics.metric import Metric
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.wording import counted

IN_FLIGHT_PER_WORKER = 8
"""Decoded clips that may wait for a worker, which takes all versions of one original together: enough for two."""


@dataclass(frozen=True)
class Decoded:
    """A clip after encoding and decoding.

    Args:
        row: cells of its line of the per-file table before the scores: ``name, domain, seconds, bitrate_kbps``, ….
        reference: original samples ``[C, N]``, on the CPU.
        estimate: decoded samples ``[C, N]``, on the CPU.
        sample_rate: sample rate of both in Hz.
    """

    row: dict[str, Any]
    reference: Tensor
    estimate: Tensor
    sample_rate: int


def judge(
    decoded: Iterable[Decoded], metrics: Sequence[Metric], workers: int, total: int | None, progress: bool | str
) -> list[dict[str, Any]]:
    """Score decoded clips, while the next are being decoded.

    Args:
        decoded: decoded clips, in the order of the result.
        metrics: metrics to compute; those of codes are left to the caller.
        workers: processes for ViSQOL; 0 computes everything here.
        total: number of decoded clips; None where it is not known.
        progress: whether to show progress on standard error; a text is what it is called there.

    Returns:
        each clip's row with one entry per metric (NaN where it failed) and ``failures`` ("metric: reason; ...").

    Raises:
        ValueError: there is no clip.
        RuntimeError: a worker process died.
    """
    per_file = [metric for metric in metrics if metric.per_file]
    rows: list[dict[str, Any]] = []
    waiting: deque[tuple[dict[str, Any], Pending]] = deque()
    title = progress if isinstance(progress, str) else "evaluate"
    with Scorer(per_file, workers) as scorer, progress_bar(title, total, bool(progress)) as advance:
        for item in decoded:
            waiting.append((item.row, scorer.submit(item.reference, item.estimate, item.sample_rate)))
            if len(waiting) > IN_FLIGHT_PER_WORKER * workers:
                rows.append(_settled(*waiting.popleft(), per_file))
                advance()
        scorer.start()
        while waiting:
            rows.append(_settled(*waiting.popleft(), per_file))
            advance()
    if not rows:
        raise ValueError("there is no clip to evaluate on")
    return rows


def _settled(row: dict[str, Any], pending: Pending, metrics: Sequence[Metric]) -> dict[str, Any]:
    scores = {metric.name: pending.settle(metric.name) for metric in metrics}
    failures = "; ".join(f"{name}: {pending.failures[name]}" for name in scores if name in pending.failures)
    return {**row, **scores, "failures": failures}


def named_once(clips: Iterable[Clip]) -> Iterator[Clip]:
    """The clips, one by one.

    Raises:
        ValueError: two have the same name.
    """
    seen: set[str] = set()
    for clip in clips:
        if clip.name in seen:
            raise ValueError(f"two clips are named {clip.name!r}; names should be unique, as rows are compared by them")
        seen.add(clip.name)
        yield clip


def match_channels(audio: Tensor, channels: int, name: str) -> tuple[Tensor, Tensor]:
    """The reference for a codec with this number of channels, and its input, from a clip's ``[C, N]``.

    Raises:
        ValueError: the clip has neither one channel, nor the codec's number, nor is the codec mono.
    """
    if audio.shape[0] == channels:
        return audio, audio
    if channels == 1:
        mono = audio.mean(dim=0, keepdim=True)
        return mono, mono
    if audio.shape[0] == 1:
        return audio, audio.expand(channels, -1)
    raise ValueError(f"clip {name!r} has {counted(audio.shape[0], 'channel')}; the codec takes {channels} or 1")


def provenance(metrics: Sequence[Metric], workers: int, packages: Sequence[str] = ()) -> dict[str, Any]:
    """The information beside any scores with which others can reproduce them.

    Args:
        metrics: metrics that were computed.
        workers: processes that computed ViSQOL.
        packages: packages whose versions matter besides those of the metrics.
    """
    named = ("torch", "torchaudio", "numpy", "visqol-python", *packages)
    return {
        "metrics": [metric.name for metric in metrics],
        "visqol_mapping": {metric.name: metric.mapping for metric in metrics if metric.mapping},
        "titles": {metric.name: METRICS[metric.name].title for metric in metrics},
        "workers": workers,
        "versions": {"python": platform.python_version(), "codeclab": codeclab.__version__}
        | {package: version(package) for package in named},
    }
