"""codeclab: neural audio codecs assembled from interchangeable parts, trained from recipes and judged in tables.

    import codeclab
    run = codeclab.train("encodec_24khz", scale="laptop", model__quantizer="FSQ")
    evaluation = codeclab.evaluate(run.codec, data="recordings", metrics=["si_sdr"])

Every part, loss and metric is here by its name (``codeclab.ResidualVQ``, ``codeclab.si_sdr``), imported when it is
first asked for; ``dir(codeclab)`` lists them.
"""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:  # the one list of public names and their modules: _PUBLIC is read from it
    from codeclab.benchmarks.evaluate.evaluation import Evaluation as Evaluation
    from codeclab.benchmarks.metrics.registry import METRICS as METRICS
    from codeclab.benchmarks.metrics.registry import metric as metric
    from codeclab.codecs.codec import Codec as Codec
    from codeclab.codecs.codec import Codes as Codes
    from codeclab.experiments.data.module import AudioData as AudioData
    from codeclab.experiments.library import TrainedRun as TrainedRun
    from codeclab.experiments.library import evaluate as evaluate
    from codeclab.experiments.library import table as table
    from codeclab.experiments.library import train as train
    from codeclab.experiments.runner.make_table import MadeTable as MadeTable
    from codeclab.experiments.runs.checkpoint import AtomicCheckpointIO as AtomicCheckpointIO
    from codeclab.experiments.runs.checkpoint import RunCheckpoint as RunCheckpoint
    from codeclab.experiments.runs.loggers import MetricsCSV as MetricsCSV
    from codeclab.experiments.runs.loggers import SaveMetrics as SaveMetrics
    from codeclab.experiments.runs.samples import SaveSamples as SaveSamples
    from codeclab.experiments.train.logs import TrainingLogs as TrainingLogs
    from codeclab.experiments.train.module import CodecExperiment as CodecExperiment
    from codeclab.experiments.train.settings import LossWeights as LossWeights
    from codeclab.experiments.train.settings import OptimizerSettings as OptimizerSettings
    from codeclab.experiments.train.step_output import StepOutput as StepOutput
    from codeclab.experiments.train.validation import Validation as Validation

_here = Path(__file__).parent
if not (_here / "codecs").is_dir():  # a checkout that lost its symlinks (zip, Windows): look at the root
    __path__.append(str(_here.parents[1]))

_PUBLIC = {
    alias.name: str(node.module)
    for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8")))
    if isinstance(node, ast.ImportFrom) and str(node.module).startswith("codeclab.")
    for alias in node.names
    if alias.asname
}
_BASES = (
    *("Encoder", "Decoder", "Quantizer", "Discriminator", "AdversarialLoss", "FeatureLoss", "ReconstructionLoss"),
    *("RateSampling", "Balancer", "Augmentation", "Sampling", "Baseline"),
)
"""Parts are derived from these classes, at any depth, and are here by name, and so are the classes."""

__all__ = ["__version__", *_PUBLIC]


@cache
def _part_names() -> dict[str, str]:
    """The module of each part's class; no part is imported."""
    # Imported here, so that ``import codeclab`` stays instant.
    from codeclab.codecs.io.defined_classes import defined_classes, with_derived
    from codeclab.codecs.io.part_files import BASELINES, CODEC_PARTS, DATA_PARTS, TRAINING_PARTS

    classes = defined_classes((*CODEC_PARTS, *TRAINING_PARTS, *DATA_PARTS, *BASELINES))
    parts = with_derived(_BASES, classes)
    return {name: classes[name].module for name in parts if name in classes and not name.startswith("_")}


def _metrics() -> dict[str, Any]:
    """The metrics that have a name here; those at the original's loudness are in ``METRICS`` alone."""
    from codeclab.benchmarks.metrics.registry import METRICS

    return {name: entry for name, entry in METRICS.items() if not entry.matched}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``import codeclab`` stays instant."""
    module = _PUBLIC.get(name)
    if module is None and not name.startswith("_"):
        if entry := _metrics().get(name):
            return entry.load() if entry.per_file else entry
        module = _part_names().get(name)
    if module is None:
        raise AttributeError(
            f"module 'codeclab' has no attribute {name!r}; it has {', '.join(sorted(_PUBLIC))}, and every part, loss "
            "and metric by its name: see dir(codeclab)"
        )
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    """All public names, parts and metrics included."""
    return sorted({*__all__, *_part_names(), *_metrics()})
