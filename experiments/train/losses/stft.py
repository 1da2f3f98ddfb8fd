"""Reconstruction losses on spectrograms of several window lengths."""

from collections.abc import Sequence

from torch import Tensor

from codeclab.benchmarks.metrics.stft_distance import WINDOW_LENGTHS, STFTDistance
from codeclab.experiments.train.losses.base import ReconstructionLoss


class MultiScaleSTFTLoss(ReconstructionLoss):
    """The DAC package's multi-scale STFT loss, the definition of the benchmarks' STFT distance.

    Args:
        window_lengths: window lengths in samples.
        log_weight: weight of the distance between logarithms; the exponent ``pow`` in the package is a factor of it.
        magnitude_weight: weight of the distance between magnitudes.
        floor: lower limit of magnitudes in the logarithm (the package: ``clamp_eps``).
    """

    def __init__(
        self,
        window_lengths: Sequence[int] = WINDOW_LENGTHS,
        log_weight: float = 2.0,
        magnitude_weight: float = 1.0,
        floor: float = 1e-5,
    ) -> None:
        super().__init__()
        self.window_lengths = list(window_lengths)
        self.log_weight = log_weight
        self.magnitude_weight = magnitude_weight
        self.floor = floor
        self.distance = STFTDistance(window_lengths, log_weight, magnitude_weight, floor)

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The distance between ``fake`` and ``real``, both ``[B, C, N]``, as a scalar.

        Raises:
            ValueError: the audio is too short for the reflection padding of the longest window.
        """
        return self.distance(fake, real)
