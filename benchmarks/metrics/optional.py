"""Shared code of metrics from other packages: whether they are available, and their inputs."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.signals import is_silent
from codeclab.codecs.resample import resample

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

INSTALL = "pip install 'codeclab[metrics]'"


class Needs(NamedTuple):
    """What a metric needs beside this package; called, it says what of that is missing.

    Args:
        packages: import names of packages.
        variable: environment variable that names its weights; empty where they come with a package.
        what: what that should name, for the message, with an example.
        is_file: whether it should name a file that is there.
    """

    packages: tuple[str, ...]
    variable: str = ""
    what: str = ""
    is_file: bool = False

    @property
    def weights(self) -> str:
        """What the environment variable names; empty where it is not set."""
        return os.environ.get(self.variable, "")

    def __call__(self) -> str | None:
        """None, or what is not here, and how to get it."""
        absent = [package for package in self.packages if find_spec(package) is None]
        if absent:
            return f"{' and '.join(absent)} not installed: {INSTALL}"
        if self.variable and not self.weights:
            return f"it needs weights, which are not included: set {self.variable} to {self.what}"
        if self.is_file and not Path(self.weights).is_file():
            return f"{self.variable} is {self.weights}, but there is no such file; it should be {self.what}"
        return None


def mono(audio: Tensor, sample_rate: int, wanted: int, role: str) -> "NDArray[float32]":
    """Mono samples ``[N]`` at ``wanted`` Hz.

    Args:
        audio: samples ``[C, N]``; channels are averaged.
        sample_rate: Hz of these.
        wanted: Hz.
        role: "reference" or "estimate", for the message.

    Raises:
        MetricError: they are silent or not finite.
    """
    samples = resample(audio.detach().float().cpu().mean(dim=0), sample_rate, wanted)
    if not bool(samples.isfinite().all()):
        raise MetricError(f"the {role} is not finite")
    if is_silent(samples):
        raise MetricError(f"the {role} is silent")
    return samples.contiguous().numpy()
