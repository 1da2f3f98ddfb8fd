"""Shared code of metrics from other packages: whether they are available, and their inputs."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.signals import is_silent
from codeclab.codecs.resample import resample

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

INSTALL = "pip install 'codeclab[metrics]'"


def lacking(*packages: str) -> str | None:
    """None, or the packages of these import names that are not installed, and how to get them."""
    missing = [package for package in packages if find_spec(package) is None]
    return f"{' and '.join(missing)} not installed: {INSTALL}" if missing else None


def weights(variable: str, what: str) -> tuple[str, str | None]:
    """The value of an environment variable, and why it cannot be used, if so.

    Args:
        variable: its name.
        what: what it should name, for the message, with an example.
    """
    value = os.environ.get(variable, "")
    return value, None if value else f"it needs weights, which are not included: set {variable} to {what}"


def file_weights(variable: str, what: str) -> tuple[str, str | None]:
    """As ``weights``, for a file that has to exist."""
    path, missing = weights(variable, what)
    if missing is None and not Path(path).is_file():
        missing = f"{variable} is {path}, but there is no such file; it should be {what}"
    return path, missing


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
