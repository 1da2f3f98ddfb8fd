"""Glob patterns of the files that define parts: the one list for importing, naming and rebuilding them."""

from collections.abc import Iterable, Iterator

from codeclab.codecs.io.defined_classes import ROOT

CODEC_PARTS = ("codecs/*.py", "quantizers/*.py")
"""Encoders, decoders and quantizers."""

TRAINING_PARTS = (
    "discriminators/*.py",
    "experiments/train/losses/*.py",
    "experiments/train/*rate_sampling.py",
    "experiments/train/*balancer.py",
)
"""Discriminators, losses, and, in files whose names end so, what samples bitrates and balances losses."""

DATA_PARTS = ("experiments/data/*.py",)
"""Augmentations and sampling of excerpts."""

BASELINES = ("benchmarks/baselines/*.py",)
"""Codecs of other programs."""


def modules_of(patterns: Iterable[str]) -> Iterator[str]:
    """The modules, to be imported, of files of the package.

    Args:
        patterns: glob patterns of the files, relative to the folder that holds ``codecs``.
    """
    for pattern in patterns:
        for file in sorted(ROOT.glob(pattern)):
            if file.stem != "__init__":
                yield ".".join(["codeclab", *file.relative_to(ROOT).with_suffix("").parts])
