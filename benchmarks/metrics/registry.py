"""Every metric by name, with what a table needs to know about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from torch import Tensor

from codeclab.benchmarks.metrics.visqol_port import Mapping

MetricFunction = Callable[[Tensor, Tensor, int], float]


@dataclass(frozen=True)
class Metric:
    """One metric of a file, or of a whole test set.

    Args:
        name: What the command line, CSV columns and tables' YAML call it.
        title: Column title; for ViSQOL it names rate and mapping, which change the score.
        higher_is_better: Its direction.
        form: Format specification of a score, such as ".2f".
        unit: "dB", or empty for a plain number.
        function: "module:function" of a per-file metric ``(reference [C, N], estimate [C, N], sample_rate) -> float``,
            imported when it is first used; None for a metric of the test set's codes.
        mapping: For ViSQOL, the mapping that it runs under (it is then computed in worker processes).
        swapped: For ViSQOL, whether the original is given as the degraded signal.
    """

    name: str
    title: str
    higher_is_better: bool
    form: str
    unit: str = ""
    function: str | None = None
    mapping: Mapping | None = None
    swapped: bool = False

    @property
    def per_file(self) -> bool:
        """Whether it scores each file, rather than the codes of the whole test set."""
        return self.function is not None

    @property
    def heading(self) -> str:
        """Title with unit and an arrow towards better."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.title}{unit} {'↑' if self.higher_is_better else '↓'}"

    def load(self) -> MetricFunction:
        """The function of a per-file metric.

        Raises:
            ValueError: This metric is one of the test set's codes, not of a file.
        """
        if self.function is None:
            raise ValueError(f"{self.name} is a metric of the whole test set's codes; evaluate() computes it")
        module, name = self.function.split(":")
        return cast(MetricFunction, getattr(import_module(module), name))


_HERE = "codeclab.benchmarks.metrics"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("visqol_audio", "ViSQOL (audio, 48 kHz, SVR)", True, ".2f", "", f"{_HERE}.visqol:visqol_audio", "svr"),
        Metric(
            "visqol_speech",
            "ViSQOL (speech, 16 kHz, lattice)",
            True,
            ".2f",
            "",
            f"{_HERE}.visqol:visqol_speech",
            "lattice",
        ),
        Metric(
            "visqol_speech_exponential",
            "ViSQOL (speech, 16 kHz, exponential)",
            True,
            ".2f",
            "",
            f"{_HERE}.visqol:visqol_speech_exponential",
            "exponential",
        ),
        Metric(
            "visqol_audio_swapped",
            "ViSQOL (audio, 48 kHz, SVR, swapped)",
            True,
            ".2f",
            "",
            f"{_HERE}.visqol:visqol_audio_swapped",
            "svr",
            swapped=True,
        ),
        Metric("si_snr", "SI-SNR", True, ".2f", "dB", f"{_HERE}.si_snr:si_snr"),
        Metric("si_sdr", "SI-SDR", True, ".2f", "dB", f"{_HERE}.si_sdr:si_sdr"),
        Metric("si_sdr_negated", "SI-SDR, negated", False, ".2f", "dB", f"{_HERE}.si_sdr:si_sdr_negated"),
        Metric("mel_distance", "Mel distance", False, ".2f", "", f"{_HERE}.mel_distance:mel_distance"),
        Metric("stft_distance", "STFT distance", False, ".2f", "", f"{_HERE}.stft_distance:stft_distance"),
        Metric("stft_distance_log", "STFT log distance", False, ".2f", "", f"{_HERE}.stft_distance:stft_distance_log"),
        Metric("bitrate_efficiency", "Bitrate efficiency", True, ".1%"),
        Metric("codebook_usage", "Codebook usage", True, ".1%"),
    )
}
"""All metrics by name. Per-file ones work at the clip's own rate, except ViSQOL, which resamples to its mode's rate.

``bitrate_efficiency`` is the sum of the codebooks' first-order entropies over the test set, divided by the sum of
``log2(size)`` (Improved RVQGAN, section 4.4); ``codebook_usage`` the mean share of entries used at least once.

DAC's evaluation script (``scripts/evaluate.py``) computes ``stft_distance``, ``si_sdr_negated`` and, with the original
as the degraded signal, ``visqol_audio_swapped``; the text speaks of ``stft_distance_log``, ``si_sdr`` and ViSQOL.
"""

DEFAULT_METRICS = ("visqol_audio", "si_snr", "mel_distance", "stft_distance", "bitrate_efficiency", "codebook_usage")


def metrics_named(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names, in this order.

    Raises:
        ValueError: A name is unknown or given twice.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise ValueError(f"unknown metric {', '.join(map(repr, unknown))}; known: {', '.join(METRICS)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a metric is named twice in {list(names)}")
    return [METRICS[name] for name in names]
