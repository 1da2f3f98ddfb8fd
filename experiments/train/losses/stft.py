"""Reconstruction losses on spectrograms of several window lengths."""

from torch import Tensor

from codeclab.benchmarks.metrics.stft_distance import STFTDistance
from codeclab.experiments.train.losses.base import ReconstructionLoss


class MultiScaleSTFTLoss(STFTDistance, ReconstructionLoss):
    """The DAC package's multi-scale STFT loss, the definition of the benchmarks' STFT distance.

    Args:
        window_lengths: window lengths in samples.
        log_weight: weight of the distance between logarithms; the exponent ``pow`` in the package is a factor of it.
        magnitude_weight: weight of the distance between magnitudes.
        floor: lower limit of magnitudes in the logarithm (the package: ``clamp_eps``).
    """

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The distance between ``fake`` and ``real``, both ``[B, C, N]``, as a scalar.

        Raises:
            ValueError: the audio is too short for the reflection padding of the longest window.
        """
        return super().forward(fake, real)
