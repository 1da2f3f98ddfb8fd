"""The inverse short-time Fourier transform, by overlap-add."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.layers.layer_stream import LayerStream
from codeclab.codecs.layers.overlap_add import OverlapAdd
from codeclab.codecs.layers.real_fourier import RealInverseSTFT


class InverseSTFT(nn.Module):
    """Complex one-sided spectra back to audio, in float32 under any autocast.

    Every frame's inverse transform is multiplied by a periodic Hann window and added at the frame's position. The sum
    is divided by the sum of the squared windows. ``T`` frames give ``T * hop_length`` samples.

    Args:
        window_length: window and transform length in samples.
        hop_length: samples between frames.
        causal: whether frame ``t`` begins at sample ``t * hop_length``, so that no sample depends on a later frame; the
            first ``window_length / hop_length - 1`` frames then precede the audio and have no samples of their own.
            Otherwise a frame is centred on its hop, as in Vocos' padding ``same``.

    Raises:
        ValueError: a length is not positive; the window is shorter than two hops (the sum of Hann windows would have
            gaps); or, if causal, it is not a multiple of the hop.
    """

    window: Tensor

    def __init__(self, window_length: int, hop_length: int, causal: bool = False) -> None:
        super().__init__()
        if hop_length < 1 or window_length < 2 * hop_length or (causal and window_length % hop_length):
            right = "a multiple of the hop, at least twice it" if causal else "at least twice the hop"
            raise ValueError(
                f"window_length is {window_length} and hop_length {hop_length}; window_length should be {right}"
            )
        self.window_length = window_length
        self.hop_length = hop_length
        # Frames before the audio, and samples of the overlapping windows' sum before and after it.
        self.frames_before = window_length // hop_length - 1 if causal else 0
        self._begin = self.frames_before * hop_length if causal else (window_length - hop_length) // 2
        self._end = window_length - hop_length - (0 if causal else self._begin)
        self.register_buffer("window", torch.hann_window(window_length, periodic=True), persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        """``[B, C, F, T + frames_before]``, ``F = window_length // 2 + 1``, to audio ``[B, C, T * hop_length]``."""
        with torch.autocast(spectrum.device.type, enabled=False):
            added = self._added(spectrum)
            audio = added[..., self._begin : added.shape[-1] - self._end]
            return audio[:, :-1] / audio[:, -1:]

    def _added(self, spectrum: Tensor) -> Tensor:
        """The overlap-add of frames ``[B, C, F, T]`` and of squared windows, ``[B, C + 1, (T - 1) * hop + window]``."""
        frames = torch.fft.irfft(spectrum.flatten(0, 1), self.window_length, dim=1) * self.window[:, None]
        squares = self.window.square()[None, :, None].expand(len(spectrum), -1, spectrum.shape[-1])
        added = self._overlap_add(frames).unflatten(0, spectrum.shape[:2])
        return torch.cat([added, self._overlap_add(squares)[:, None]], dim=1)

    def exportable(self) -> RealInverseSTFT:
        """The same transform in real numbers, of spectra ``[B, C, 2 F, T + frames_before]``, real parts first."""
        return RealInverseSTFT(self.window, self.hop_length, self._begin, self._end, self.frames_before)

    def stream(self, spectrum_of: Callable[[Tensor], Tensor], channels: int) -> LayerStream:
        """A stream from the numbers that parametrize a spectrum to audio.

        Args:
            spectrum_of: function from numbers ``[B, K, T]`` to a complex spectrum ``[B, C, F, T]``.
            channels: audio channels ``C``.
        """
        return OverlapAdd(
            lambda numbers: self._added(spectrum_of(numbers)),
            *(channels + 1, self.window_length, self.hop_length, self._begin, self._end),
            lambda added: added[:, :-1] / added[:, -1:],
        )

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """The sum of frames ``[B, window, T]``, one hop apart, ``[B, (T - 1) * hop + window]``."""
        length = (frames.shape[-1] - 1) * self.hop_length + self.window_length
        added = F.fold(frames, (1, length), (1, self.window_length), stride=(1, self.hop_length))
        return added[:, 0, 0]
