"""Codecs that are measured and not trained: Opus, MP3, Lyra V2, and any other with a command line.

May import: benchmarks.evaluate, benchmarks.metrics, codecs, quantizers.
"""

from codeclab.benchmarks.baselines.base import Baseline
from codeclab.benchmarks.baselines.measure import evaluate_baseline
from codeclab.benchmarks.baselines.registry import BASELINES, make_baseline

__all__ = ["BASELINES", "Baseline", "evaluate_baseline", "make_baseline"]
