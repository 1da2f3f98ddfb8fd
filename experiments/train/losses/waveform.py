"""Reconstruction losses on the waveform."""

from torch import Tensor

from codeclab.experiments.train.losses.base import ReconstructionLoss


class WaveformL1(ReconstructionLoss):
    """Mean absolute difference of the waveforms (EnCodec, section 3.4: ``l_t``)."""

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The distance between ``fake`` and ``real``, both ``[B, C, N]``, as a scalar."""
        return (fake.float() - real.float()).abs().mean()
