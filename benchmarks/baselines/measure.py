"""Measures a baseline on clips: transcode, score."""

import platform
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

from pandas import DataFrame

from codeclab.benchmarks.baselines.base import Baseline, NotInstalledError, offered_rate
from codeclab.benchmarks.baselines.registry import describe_baseline
from codeclab.benchmarks.baselines.tokens import TokenCodec
from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.codes import CODES_KBPS, CodeStatistics, rates_spent
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.judge import Decoded, judge, match_channels, named_once, provenance
from codeclab.benchmarks.evaluate.sets import SetStatistics
from codeclab.benchmarks.evaluate.statistics import REQUESTED_KBPS
from codeclab.benchmarks.metrics.registry import DEFAULT_METRICS, metrics_named


def evaluate_baseline(
    baseline: Baseline,
    clips: Iterable[Clip],
    bitrates: Sequence[float] | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int = 0,
    progress: bool | str = False,
) -> Evaluation:
    """Transcode and score every clip at every bitrate, with the code by which ``evaluate`` measures codecs.

    ``bitrate_kbps`` is what was really spent, on average over the seconds of these clips, and the column
    ``codes_kbps`` what each clip took; ``info["requested_kbps"]`` has the requested bitrates, in the same order as
    ``info["bitrates_kbps"]``. ``n_codebooks`` is missing. Metrics of codes are those of a ``TokenCodec`` alone, whose
    weights ``info["parameters"]`` counts.

    Args:
        baseline: codec that is measured; a clip's channels are matched to its, as with a codec.
        clips: test set; names must be unique. A generator is taken clip by clip.
        bitrates: bitrates in kbps; None is all that it offers.
        metrics: names from ``METRICS``.
        workers: processes that compute ViSQOL while this one encodes; 0 computes all here.
        progress: whether to show progress on standard error; a text is what it is called there.

    Raises:
        ValueError: a metric or bitrate is unknown or none is requested, two bitrates come out as one, a clip's name
            stands twice, there is no clip, or a clip's channels do not suit the baseline.
        NotInstalledError: the baseline's program or models are missing.
        RuntimeError: it failed on a clip, or a worker process died.
    """
    chosen = metrics_named(metrics)
    rates = requested_rates(baseline, bitrates)
    if missing := baseline.available():
        raise NotInstalledError(missing)
    total = len(clips) * len(rates) if isinstance(clips, Sized) else None
    codes = CodeStatistics(baseline.codebook_sizes if isinstance(baseline, TokenCodec) else [])
    sets = SetStatistics(chosen)
    decoded = sets.watched(_decoded(baseline, clips, rates, codes))
    scores = DataFrame(judge(decoded, chosen, workers, total, progress))
    spent = rates_spent(scores)
    if len(set(spent.values())) < len(spent):
        raise ValueError(
            f"of {', '.join(f'{r:g}' for r in rates)} kbps, two are the same for {baseline.name}; leave one out"
        )
    codebooks = codes.table()
    for table in (scores, codebooks):
        table["bitrate_kbps"] = table["bitrate_kbps"].replace(spent)
    info: dict[str, Any] = {
        "codec": None,
        "name": baseline.name,
        "baseline": describe_baseline(baseline),
        "sample_rate": baseline.sample_rate,
        "channels": baseline.channels,
        "frame_rate": None,
        "bitrates_kbps": [spent[rate] for rate in rates],
        REQUESTED_KBPS: rates,
        "device": f"cpu ({platform.processor() or platform.machine()})",
        **provenance(chosen, workers, ("av",)),
        **sets.info(spent),
    }
    if isinstance(baseline, TokenCodec):
        info["parameters"] = baseline.parameters()
    return Evaluation(scores, codebooks, info)


def requested_rates(baseline: Baseline, bitrates: Sequence[float] | None) -> list[float]:
    """The kbps to measure at, lowest first, each with the baseline's own value.

    Args:
        baseline: baseline that is to code the clips.
        bitrates: bitrates requested, in kbps; None is all that it offers.

    Raises:
        ValueError: one is not offered, or none is requested.
    """
    requested = baseline.bitrates if bitrates is None else bitrates
    if not requested:
        raise ValueError(f"{baseline.name} takes any bitrate: choose some, in kbps, as in 6 12")
    return sorted({float(offered_rate(baseline, rate)) for rate in requested})


def _decoded(
    baseline: Baseline, clips: Iterable[Clip], rates: Sequence[float], codes: CodeStatistics
) -> Iterator[Decoded]:
    for clip in named_once(clips):
        original = clip.audio.detach().cpu().float()
        channels = baseline.channels or original.shape[0]
        reference, given = match_channels(original, channels, clip.name)
        for rate in rates:
            if isinstance(baseline, TokenCodec):
                decoded, kbps, tokens = baseline.code(given, clip.sample_rate, rate)
                if codes.sizes:
                    codes.update(clip.domain, rate, [tokens.padded()])
            else:
                decoded, kbps = baseline.transcode(given, clip.sample_rate, rate)
            if reference.shape[0] < channels:
                decoded = decoded.mean(dim=0, keepdim=True)
            row = {"name": clip.name, "domain": clip.domain, "seconds": clip.seconds, "bitrate_kbps": rate}
            yield Decoded({**row, REQUESTED_KBPS: rate, CODES_KBPS: kbps}, reference, decoded, clip.sample_rate)
