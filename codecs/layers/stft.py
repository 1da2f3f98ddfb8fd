"""The short-time Fourier transform of losses, metrics and discriminators."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.layers.real_fourier import RealSTFT
from codeclab.codecs.layers.shared_spectra import shared_spectra

Padding = Literal["none", "centre", "same", "matched"]


class _Transform(torch.autograd.Function):
    """The spectra ``[B, T, F]`` of overlapping windows of audio ``[B, N]``.

    Not ``torch.stft``: its backward pass on overlapping frames is an index_add, which is slower and not deterministic.
    Nor ``torch.fft.rfft``: its backward pass is a complex transform of twice the length, of which it drops the
    imaginary part.
    """

    @staticmethod
    def forward(
        ctx: Any, audio: Tensor, window: Tensor, shares: Tensor, hop_length: int, known: Tensor | None
    ) -> Tensor:
        ctx.shape, ctx.hop_length = audio.shape, hop_length
        ctx.save_for_backward(window, shares)
        return torch.fft.rfft(audio.unfold(1, len(window), hop_length) * window) if known is None else known

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        window, shares = ctx.saved_tensors
        frames = torch.fft.irfft(gradient * shares, len(window), norm="forward") * window
        audio = torch.ops.aten.unfold_backward(frames, ctx.shape, 1, len(window), ctx.hop_length)
        return audio, None, None, None, None


def _shares(n_fft: int) -> Tensor:
    """1 for bins that occur once in a two-sided spectrum, 1/2 for those that occur twice, ``[n_fft // 2 + 1]``."""
    bins = torch.arange(n_fft // 2 + 1)
    return torch.where((bins == 0) | (2 * bins == n_fft), 1.0, 0.5)


class STFT(nn.Module):
    """Complex one-sided STFT with a periodic Hann window, computed in float32 under any autocast.

    Args:
        window_length: window length in samples.
        hop_length: samples between frames; None is ``window_length // 4``.
        padding: padding mode. ``none``: whole windows inside the audio (EnCodec's discriminator). ``centre``: half a
            window reflected at both ends (DAC's losses). ``same``: ``(window - hop) // 2`` reflected at both ends, then
            zeros until the last frame is full: ``ceil(N / hop)`` frames (AudioCraft's losses). ``matched``: as many
            frames, filled by reflection (DAC's discriminator, "match stride"; its two dropped frames are never computed
            here).
        normalized: whether the spectrum is divided by the window's L2 norm.
        n_fft: transform and frame length in samples, with the window in the middle of a frame; None is
            ``window_length``.

    Raises:
        ValueError: a length is not positive, the hop is longer than the window, the window is longer than the
            transform, or the padding is unknown.
    """

    window: Tensor
    shares: Tensor

    def __init__(
        self,
        window_length: int,
        hop_length: int | None = None,
        padding: Padding = "none",
        normalized: bool = False,
        n_fft: int | None = None,
    ) -> None:
        super().__init__()
        self.window_length = window_length
        self.n_fft = window_length if n_fft is None else n_fft
        self.hop_length = window_length // 4 if hop_length is None else hop_length
        self.padding = padding
        self.normalized = normalized
        if not 1 <= self.hop_length <= window_length:
            raise ValueError(
                f"hop_length is {self.hop_length}; it should lie between 1 and window_length {window_length}"
            )
        if window_length > self.n_fft:
            raise ValueError(f"window_length is {window_length}; it should not be longer than n_fft {self.n_fft}")
        if padding not in ("none", "centre", "same", "matched"):
            raise ValueError(f"padding is {padding!r}; it should be none, centre, same or matched")
        window = torch.hann_window(window_length, periodic=True, dtype=torch.float64)
        window = (window / window.norm() if normalized else window).float()
        missing = self.n_fft - window_length
        self.register_buffer("window", F.pad(window, (missing // 2, missing - missing // 2)), persistent=False)
        self.register_buffer("shares", _shares(self.n_fft), persistent=False)

    @property
    def min_samples(self) -> int:
        """The smallest number of samples that can be transformed (reflection needs more samples than it adds)."""
        side = (self.n_fft - self.hop_length) // 2
        needed = {
            "none": self.n_fft,
            "centre": self.n_fft // 2 + 1,
            "same": side + 1,
            "matched": side + self.hop_length,
        }
        return needed[self.padding]

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, C, N]`` to a complex spectrum ``[B, C, T, F]``, ``F = n_fft // 2 + 1``.

        In a block of ``spectra_shared``, audio that has been transformed is not transformed again.

        Raises:
            ValueError: the audio is shorter than ``min_samples``.
        """
        if audio.shape[-1] < self.min_samples:
            raise ValueError(
                f"{audio.shape[-1]} samples are too few for a window of {self.n_fft} with padding "
                f"{self.padding!r}: at least {self.min_samples} are needed"
            )
        shared = None if torch.compiler.is_compiling() else shared_spectra()
        known = shared.get(audio, self._settings) if shared else None
        if known is not None and not (torch.is_grad_enabled() and audio.requires_grad):
            return known
        with torch.autocast(device_type=audio.device.type, enabled=False):
            padded = self._padded(audio.float().flatten(0, 1))
            # What is known of audio that needs a gradient now is handed through; the backward pass is the same.
            spectra = None if known is None else known.flatten(0, 1)
            spectrum = _Transform.apply(padded, self.window, self.shares, self.hop_length, spectra)
        spectrum = spectrum.unflatten(0, audio.shape[:2])
        if shared is not None and known is None:
            shared.store(audio, self._settings, spectrum)
        return spectrum

    @property
    def _settings(self) -> tuple[Any, ...]:
        return self.window_length, self.n_fft, self.hop_length, self.padding, self.normalized

    def exportable(self) -> RealSTFT:
        """The same transform in real numbers, ``[B, C, T, 2 F]``, real parts first.

        Raises:
            ValueError: the padding is not ``none``.
        """
        if self.padding != "none":
            raise ValueError(f"the padding of the STFT is {self.padding!r}; it should be 'none' for an export")
        return RealSTFT(self.window, self.hop_length)

    def _padded(self, audio: Tensor) -> Tensor:
        """Audio ``[B, N]`` with padding at both ends."""
        samples = audio.shape[-1]
        if self.padding == "none":
            return audio
        if self.padding == "centre":
            return F.pad(audio, (self.n_fft // 2, self.n_fft // 2), mode="reflect")
        side = (self.n_fft - self.hop_length) // 2
        fill = -samples % self.hop_length + (self.n_fft - self.hop_length) % 2
        if self.padding == "matched":
            return F.pad(audio, (side, side + fill), mode="reflect")
        reflected = F.pad(audio, (side, side), mode="reflect")
        return F.pad(reflected, (0, fill)) if fill else reflected
