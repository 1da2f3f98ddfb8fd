"""Distances of spectra, those of a reference computed once for all estimates."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from codeclab.benchmarks.metrics.signals import check_pair, is_silent


class SpectralDistance(Protocol):
    """A distance whose spectra of the reference can be computed beforehand."""

    def spectra(self, audio: Tensor) -> Any:
        """The spectra of the reference ``[B, C, N]``, an argument of ``distance``."""

    def distance(self, estimate: Tensor, reference: Any) -> Tensor:
        """The distance of ``[B, C, N]`` from the reference's spectra, a scalar."""


@torch.no_grad()
def distance_from(distance: SpectralDistance, reference: Tensor) -> Callable[[Tensor], float]:
    """The distances of estimates ``[C, N]`` from a reference ``[C, N]``; NaN where that is silent."""
    spectra = None if is_silent(reference) else distance.spectra(reference.cpu()[None])

    @torch.no_grad()
    def measured(estimate: Tensor) -> float:
        check_pair(reference, estimate)
        return float("nan") if spectra is None else float(distance.distance(estimate.cpu()[None], spectra))

    return measured
