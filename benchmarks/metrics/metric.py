"""A metric, with what a table needs to know about it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from codeclab.benchmarks.metrics.visqol_port import Mapping

if TYPE_CHECKING:  # help lists the names; torch would take seconds to import
    from pandas import DataFrame, Series
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
        codes: path "module:function" of a metric of the test set's codes, ``(codebooks, together) -> float``: the lines
            of ``Evaluation.codebooks`` of one domain and bitrate, those of each codebook and that of all together.
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
    codes: str | None = None
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
        return self.codes is not None

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

    def score_of_codes(self, codebooks: "DataFrame", together: "Series[Any]") -> float:
        """The score of a metric of codes, for one domain and bitrate.

        Args:
            codebooks: lines of ``Evaluation.codebooks``, one per codebook.
            together: line of all codebooks together.
        """
        return float(_imported(str(self.codes))(codebooks, together))

    def start(self) -> Any:
        """A new counter of a metric of a set of clips."""
        return _imported(str(self.of_set))()


def _imported(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)
