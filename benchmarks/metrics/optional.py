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


class Requirements(NamedTuple):
    """Packages and weights that a metric requires beside this package; called, it says which are missing.

    Args:
        packages: import names of packages.
        variable: environment variable with the path or name of the weights; empty where they come with a package.
        what: description of the variable's value, with an example, for the message.
        is_file: whether the variable should hold the path of an existing file.
    """

    packages: tuple[str, ...]
    variable: str = ""
    what: str = ""
    is_file: bool = False

    @property
    def weights(self) -> str:
        """Value of the environment variable; empty where it is not set."""
        return os.environ.get(self.variable, "")

    def __call__(self) -> str | None:
        """None, or a line that says what is missing and how to get it."""
        absent = [package for package in self.packages if find_spec(package) is None]
        if absent:
            return f"{' and '.join(absent)} not installed: {INSTALL}"
        if self.variable and not self.weights:
            return f"it needs weights, which are not included: set {self.variable} to {self.what}"
        if self.is_file and not Path(self.weights).is_file():
            return f"{self.variable} is {self.weights}, but there is no such file; it should be {self.what}"
        return None


def mono(audio: Tensor, sample_rate: int, wanted: int, role: str) -> "NDArray[float32]":
    """Mono samples ``[N]`` at another sample rate.

    Args:
        audio: samples ``[C, N]``; channels are averaged.
        sample_rate: sample rate of ``audio`` in Hz.
        wanted: sample rate of the result in Hz.
        role: name of the signal in the message, "reference" or "estimate".

    Raises:
        MetricError: the samples are silent or not finite.
    """
    samples = resample(audio.detach().float().cpu().mean(dim=0), sample_rate, wanted)
    if not bool(samples.isfinite().all()):
        raise MetricError(f"the {role} is not finite")
    if is_silent(samples):
        raise MetricError(f"the {role} is silent")
    return samples.contiguous().numpy()
