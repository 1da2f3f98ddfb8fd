"""Every metric by name, with what a table needs to know about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from codeclab.benchmarks.metrics.errors import MetricMissingError
from codeclab.benchmarks.metrics.visqol_port import Mapping
from codeclab.codecs.wording import did_you_mean

if TYPE_CHECKING:  # help lists the names; torch would take seconds to import
    from torch import Tensor

MetricFunction = Callable[["Tensor", "Tensor", int], float]


class Shared(NamedTuple):
    """A computation that gives the scores of several metrics at once.

    Args:
        function: path "module:function" of ``(reference [C, N], estimate [C, N], sample_rate) -> scores by key``.
        key: key of the metric's own score.
    """

    function: str
    key: str


@dataclass(frozen=True)
class Metric:
    """One metric of a file, or of a whole test set.

    Args:
        name: name on the command line, in CSV columns and in tables' YAML.
        title: column title; for ViSQOL it names rate and mapping, which change the score.
        higher_is_better: whether a higher score is a better one.
        form: format specification of a score, such as ".2f".
        unit: unit of a score, such as "dB"; empty for a plain number.
        function: path "module:function" of a per-file metric ``(reference [C, N], estimate [C, N], sample_rate) ->
            float``, imported when it is first used; None for a metric of the whole test set.
        mapping: ViSQOL's mapping from similarity to score, computed in worker processes; None for other metrics.
        swapped: whether ViSQOL is given the original as the degraded signal.
        matched: whether the decoded audio is first brought to the original's loudness.
        of_set: path "module:class" of a metric of a set of decoded clips, as ``FrechetAudioDistance``; None for those
            of files and of codes.
        missing: path "module:function" of a function that says what the metric lacks on this machine; None for metrics
            that need nothing beside this package.
        shared: computation that gives this metric's score together with those of others; None for a metric computed by
            itself.
        prepared: path "module:function" of what takes ``(reference, sample_rate)`` and gives a function of the estimate
            alone, where the reference costs as much as the estimate; None for ``function`` with its reference.
    """

    name: str
    title: str
    higher_is_better: bool
    form: str
    unit: str = ""
    function: str | None = None
    mapping: Mapping | None = None
    swapped: bool = False
    matched: bool = False
    of_set: str | None = None
    missing: str | None = None
    prepared: str | None = None
    shared: Shared | None = None

    @property
    def per_file(self) -> bool:
        """Whether it scores each file, rather than the whole test set."""
        return self.function is not None

    @property
    def of_codes(self) -> bool:
        """Whether it is a metric of the test set's codes."""
        return self.function is None and self.of_set is None

    def lacks(self) -> str | None:
        """None, or what it needs and how to get it, in one line."""
        missing = _imported(self.missing)() if self.missing else None
        return f"the metric {self.name} cannot be computed here: {missing}" if missing else None

    @property
    def heading(self) -> str:
        """Title with unit and an arrow towards better."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.title}{unit} {'↑' if self.higher_is_better else '↓'}"

    def load(self) -> MetricFunction:
        """The function of a per-file metric, of decoded audio at the original's loudness where that is matched.

        Raises:
            ValueError: this metric is one of the test set's codes, not of a file.
        """
        if self.function is None:
            raise ValueError(f"{self.name} is a metric of the whole test set; evaluate() computes it")
        function = cast(MetricFunction, _imported(self.function))
        if not self.matched:
            return function
        from codeclab.codecs.loudness import loudness_matched

        return lambda reference, estimate, rate: function(reference, loudness_matched(estimate, reference, rate), rate)

    def measuring(self, reference: "Tensor", sample_rate: int) -> Callable[["Tensor"], float]:
        """The scores of estimates ``[C, N]`` of one reference, as they are heard: nothing matches their loudness here.

        Args:
            reference: original samples ``[C, N]``.
            sample_rate: sample rate of both in Hz.
        """
        if self.prepared is not None:
            return cast(Callable[["Tensor"], float], _imported(self.prepared)(reference, sample_rate))
        function = cast(MetricFunction, _imported(str(self.function)))
        return lambda estimate: function(reference, estimate, sample_rate)

    def shared_scores(self, reference: "Tensor", estimate: "Tensor", sample_rate: int) -> dict[str, float]:
        """The scores by key of all metrics that share this metric's computation.

        Args:
            reference: original samples ``[C, N]``.
            estimate: decoded samples ``[C, N]``.
            sample_rate: sample rate of both in Hz.

        Raises:
            ValueError: the metric is computed by itself.
        """
        if self.shared is None:
            raise ValueError(f"{self.name} shares its computation with no other metric")
        return cast(dict[str, float], _imported(self.shared.function)(reference, estimate, sample_rate))

    def start(self) -> Any:
        """A new counter of a metric of a set of clips."""
        return _imported(str(self.of_set))()


def _imported(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)


_HERE = "codeclab.benchmarks.metrics"


def _other(module: str, name: str, title: str, form: str = ".2f", function: str = "", higher: bool = True) -> Metric:
    """A metric of another package or with weights of its own, in the optional extra ``metrics``."""
    path = f"{_HERE}.{module}:"
    return Metric(name, title, higher, form, "", path + (function or name), missing=f"{path}REQUIREMENTS")


def _dnsmos(name: str, title: str, key: str, function: str = "") -> Metric:
    """One of DNSMOS's scores; a single run of its networks gives all of them."""
    metric = _other("dnsmos", name, f"DNSMOS ({title})", function=function)
    return replace(metric, shared=Shared(f"{_HERE}.dnsmos:dnsmos_scores", key))


OTHERS = (
    _other("pesq", "pesq", "PESQ (wideband)", function="pesq_wideband"),
    _other("pesq", "pesq_narrowband", "PESQ (narrowband)"),
    _other("stoi", "stoi", "STOI", ".3f"),
    _other("stoi", "estoi", "Extended STOI", ".3f", function="stoi_extended"),
    _dnsmos("dnsmos", "overall", "ovrl_mos", function="dnsmos_overall"),
    _dnsmos("dnsmos_signal", "speech", "sig_mos"),
    _dnsmos("dnsmos_background", "background", "bak_mos"),
    _dnsmos("dnsmos_p808", "P.808", "p808_mos"),
    _other("speaker_similarity", "speaker_similarity", "Speaker similarity", ".3f"),
    _other("word_error_rate", "word_error_rate", "Word error rate", ".1%", higher=False),
    _other("utmos", "utmos", "UTMOS"),
    Metric(
        "frechet_audio_distance",
        "Fréchet audio distance",
        False,
        ".3g",
        of_set=f"{_HERE}.frechet:FrechetAudioDistance",
        missing=f"{_HERE}.frechet:REQUIREMENTS",
    ),
)
"""Metrics of other packages; one whose package or weights are not here says how to get them, and is not computed."""


def _distance(module: str, name: str, title: str) -> Metric:
    """A distance of spectra; those of the reference can be computed beforehand."""
    path = f"{_HERE}.{module}:{name}"
    return Metric(name, title, False, ".2f", "", path, prepared=f"{path}_from")


def _visqol(name: str, title: str, mapping: Mapping, swapped: bool = False) -> Metric:
    """ViSQOL under a mapping."""
    return Metric(name, f"ViSQOL ({title})", True, ".2f", "", f"{_HERE}.visqol:{name}", mapping, swapped)


MEL = _distance("mel_distance", "mel_distance", "Mel distance")
STFT = _distance("stft_distance", "stft_distance", "STFT distance")
SWAPPED = _visqol("visqol_audio_swapped", "audio, 48 kHz, SVR, swapped", "svr", swapped=True)
RELEASED = (MEL, STFT, SWAPPED)
"""Metrics that DAC's scripts compute of decoded audio at the original's loudness, and that depend on level."""

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _visqol("visqol_audio", "audio, 48 kHz, SVR", "svr"),
        _visqol("visqol_speech", "speech, 16 kHz, lattice", "lattice"),
        _visqol("visqol_speech_exponential", "speech, 16 kHz, exponential", "exponential"),
        SWAPPED,
        Metric("si_snr", "SI-SNR", True, ".2f", "dB", f"{_HERE}.si_snr:si_snr"),
        Metric("si_sdr", "SI-SDR", True, ".2f", "dB", f"{_HERE}.si_sdr:si_sdr"),
        Metric("si_sdr_negated", "SI-SDR, negated", False, ".2f", "dB", f"{_HERE}.si_sdr:si_sdr_negated"),
        MEL,
        STFT,
        _distance("stft_distance", "stft_distance_log", "STFT log distance"),
        *(
            replace(metric, name=f"{metric.name}_matched", title=f"{metric.title}, loudness matched", matched=True)
            for metric in RELEASED
        ),
        Metric("bitrate_efficiency", "Bitrate efficiency", True, ".1%"),
        Metric("codebook_usage", "Codebook usage", True, ".1%"),
        Metric("codebook_entropy", "Codebook entropy", True, ".2f", "bits"),
        Metric("token_perplexity", "Token perplexity", True, ".1f"),
        *OTHERS,
    )
}
"""All metrics by name. Per-file ones work at the clip's own rate, except ViSQOL, which resamples to its mode's rate.

``bitrate_efficiency`` is the sum of the codebooks' first-order entropies over the test set, divided by the sum of
``log2(size)`` (Improved RVQGAN, section 4.4); ``codebook_usage`` the mean share of entries used at least once;
``codebook_entropy`` the mean of those entropies and ``token_perplexity`` that of ``2^entropy``, the number of equally
frequent entries of that entropy.

DAC's evaluation script (``scripts/evaluate.py``) computes ``stft_distance``, ``si_sdr_negated`` and, with the original
as the degraded signal, ``visqol_audio_swapped``; the text speaks of ``stft_distance_log``, ``si_sdr`` and ViSQOL. What
it is given, ``scripts/get_samples.py`` has brought to the original's loudness: so ``mel_distance_matched``,
``stft_distance_matched`` and ``visqol_audio_swapped_matched`` hear it. The level of audio does not move SI-SDR.
"""

DEFAULT_METRICS = ("visqol_audio", "si_snr", "mel_distance", "stft_distance", "bitrate_efficiency", "codebook_usage")


def refuse_unknown(names: Sequence[str]) -> None:
    """Refuse unknown names of metrics.

    Raises:
        ValueError: one is unknown; the message has the closest one, and lists all there are.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        near = did_you_mean(unknown[0], METRICS)
        raise ValueError(f"no metric {', '.join(unknown)}{near}; there are: {', '.join(METRICS)}")


def metrics_named(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names, in this order.

    Raises:
        ValueError: a name is unknown or given twice.
        MetricMissingError: a metric's package or weights are not here.
    """
    refuse_unknown(names)
    if len(set(names)) < len(names):
        raise ValueError(f"a metric is named twice in {list(names)}")
    metrics = [METRICS[name] for name in names]
    for metric in metrics:
        if lacks := metric.lacks():
            raise MetricMissingError(lacks)
    return metrics
