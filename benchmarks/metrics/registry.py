"""Every metric by name: each file of this folder declares its own, and a user's file likewise."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from codeclab.benchmarks.metrics.errors import MetricMissingError
from codeclab.benchmarks.metrics.metric import Metric, Shared
from codeclab.benchmarks.metrics.visqol_port import Mapping
from codeclab.codecs.wording import did_you_mean

PACKAGE = __name__.rpartition(".")[0]
MATCHED_ORDER = 40
"""``order`` of metrics at the original's loudness."""

Measure = TypeVar("Measure", bound=Callable[..., Any])


@dataclass(frozen=True)
class metric:  # noqa: N801 (a decorator)
    """Declares the function or class below it, at the top level of a file, as a metric.

        @codeclab.metric("Peak error", higher_is_better=False, unit="dB")
        def peak_error(reference, estimate, sample_rate): ...

    In this folder the values must be literals: they are read without running the file, so that help lists a metric
    whose packages are not here. In any other file, the metric is in ``METRICS`` once the file is imported.

    Args:
        title: column title; for ViSQOL it names rate and mapping, which change the score.
        higher_is_better: whether a higher score is a better one.
        form: format specification of a score, such as ".2f".
        unit: unit of a score, such as "dB"; empty for a plain number.
        name: name of the metric; empty for that of the function.
        of: "clip" for a function ``(reference [C, N], estimate [C, N], sample_rate) -> float``; "set" for a class that
            counts decoded clips, as ``FrechetAudioDistance``; "codes" for a function of codebooks' use, as
            ``bitrate_efficiency``.
        matched_too: whether there is a second metric, ``NAME_matched``, of audio at the original's loudness.
        mapping: ViSQOL's mapping from similarity to score, computed in worker processes; None for other metrics.
        swapped: whether ViSQOL is given the original as the degraded signal.
        requirements: name, in the same file, of the metric's ``Requirements``; empty where it has none.
        prepared: name, in the same file, of what takes ``(reference, sample_rate)`` and gives a function of the
            estimate alone; empty where there is none.
        shared: name, in the same file, of a function that gives the scores of several metrics by key, and the key of
            this one; None for a metric computed by itself.
        order: position in lists; metrics of equal order are listed by file.
    """

    title: str
    higher_is_better: bool
    form: str = ".2f"
    unit: str = ""
    name: str = ""
    of: Literal["clip", "set", "codes"] = "clip"
    matched_too: bool = False
    mapping: Mapping | None = None
    swapped: bool = False
    requirements: str = ""
    prepared: str = ""
    shared: tuple[str, str] | None = None
    order: int = 100

    def __call__(self, measure: Measure) -> Measure:
        """The function or class itself, after its metric was added to ``METRICS``.

        Raises:
            ValueError: it is not at the top level of a file, or one of this package's metrics has the name.
        """
        if measure.__module__.rpartition(".")[0] == PACKAGE:
            return measure  # its declaration has been read, and a caller may have changed the entry since
        if "." in measure.__qualname__:
            raise ValueError(f"the metric {measure.__qualname__} is not at the top level of a file, where it is found")
        for _, made in self.metrics(measure.__module__, measure.__name__):
            if made.name in OWN:
                raise ValueError(f"a metric of codeclab is called {made.name}; give yours another name")
            METRICS[made.name] = made
        return measure

    def metrics(self, module: str, function: str) -> Iterator[tuple[int, Metric]]:
        """The metrics that a declaration stands for, each after its position in lists.

        Args:
            module: module of the function.
            function: name of the function, or of the class of a metric of sets.
        """

        def path(name: str) -> str | None:
            return f"{module}:{name}" if name else None

        made = Metric(
            name=self.name or function,
            title=self.title,
            higher_is_better=self.higher_is_better,
            form=self.form,
            unit=self.unit,
            function=path(function) if self.of == "clip" else None,
            mapping=self.mapping,
            swapped=self.swapped,
            of_set=path(function) if self.of == "set" else None,
            codes=path(function) if self.of == "codes" else None,
            missing=path(self.requirements),
            prepared=path(self.prepared),
            shared=Shared(f"{module}:{self.shared[0]}", self.shared[1]) if self.shared else None,
        )
        yield self.order, made
        if self.matched_too:
            name, title = f"{made.name}_matched", f"{made.title}, loudness matched"
            yield MATCHED_ORDER, replace(made, name=name, title=title, matched=True)


def declared_in(file: Path) -> Iterator[tuple[int, Metric]]:
    """The metrics that a file of this folder declares, each after its position in lists; the file is not run.

    Raises:
        ValueError: a value of a declaration is not a literal.
    """
    text = file.read_text(encoding="utf-8")
    if not re.search(r"^@(codeclab\.)?metric\(", text, re.MULTILINE):
        return  # most of the time here is the parser's
    for measure in ast.parse(text).body:
        if not isinstance(measure, ast.FunctionDef | ast.ClassDef):
            continue
        for call in measure.decorator_list:
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("metric", "codeclab.metric"):
                try:
                    values = [ast.literal_eval(value) for value in call.args]
                    named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
                except ValueError as error:
                    raise ValueError(f"{file}: {ast.unparse(call)} should have literal values") from error
                yield from metric(*values, **named).metrics(f"{PACKAGE}.{file.stem}", measure.name)


def _declared() -> dict[str, Metric]:
    files = sorted(Path(__file__).parent.glob("*.py"))
    made = sorted((one for file in files for one in declared_in(file)), key=lambda one: one[0])
    return {entry.name: entry for _, entry in made}


METRICS: dict[str, Metric] = _declared()
"""All metrics by name. Per-file ones work at the clip's own rate, except ViSQOL, which resamples to its mode's rate.

DAC's evaluation script (``scripts/evaluate.py``) computes ``stft_distance``, ``si_sdr_negated`` and, with the original
as the degraded signal, ``visqol_audio_swapped``; the text speaks of ``stft_distance_log``, ``si_sdr`` and ViSQOL. What
it is given, ``scripts/get_samples.py`` has brought to the original's loudness: so ``mel_distance_matched``,
``stft_distance_matched`` and ``visqol_audio_swapped_matched`` hear it. The level of audio does not move SI-SDR.
"""

OWN = frozenset(METRICS)
"""Names of the package's metrics."""

DEFAULT_METRICS = ("visqol_audio", "mel_distance", "stft_distance", "si_snr", "bitrate_efficiency", "codebook_usage")
"""Metrics by which a finished codec is evaluated, unless others are requested."""

QUICK_METRICS = ("mel_distance", "stft_distance", "si_snr")
"""Metrics of a validation, a comparison or a table, unless others are requested: they take little time."""


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
    chosen = [METRICS[name] for name in names]
    for entry in chosen:
        if lacks := entry.lacks():
            raise MetricMissingError(lacks)
    return chosen
