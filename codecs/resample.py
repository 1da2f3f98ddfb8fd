"""The resampler for coding and measuring, of whole recordings or block by block."""

from functools import lru_cache
from math import ceil, gcd

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

ZEROS = 64
"""Zero crossings of the sinc on each side."""

ROLLOFF = 0.9475937167399596
"""Passband as a share of the lower Nyquist frequency."""

MAX_PHASES = 2000
"""Number of phases beyond which torchaudio's kernel needs gigabytes, as for coprime rates."""


def resample(audio: Tensor, sample_rate: int, target: int) -> Tensor:
    """Resample with a long Kaiser-windowed sinc, whose own error is negligible.

    The settings are torchaudio's equivalent of resampy's "kaiser_best" (torchaudio's resampling tutorial): 64 zero
    crossings a side, passband to 94.76 % of the lower Nyquist frequency, beta 14.77. Rates with almost no common
    divisor, as 44,101 and 24,000 Hz, go through SciPy's ``resample_poly``.

    Args:
        audio: samples ``[..., N]``.
        sample_rate: sampling rate of ``audio``, Hz.
        target: sampling rate of the result, Hz.

    Returns:
        samples ``[..., ceil(N * target / sample_rate)]``; ``audio`` itself when the rates are equal.
    """
    if sample_rate == target:
        return audio
    common = gcd(sample_rate, target)
    if target // common > MAX_PHASES:
        return resample_polyphase(audio, sample_rate, target)
    from torchaudio.functional import resample as torchaudio_resample

    return torchaudio_resample(
        audio,
        sample_rate,
        target,
        lowpass_filter_width=ZEROS,
        rolloff=ROLLOFF,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
    )


def resample_polyphase(audio: Tensor, sample_rate: int, target: int) -> Tensor:
    """Resample between rates with almost no common divisor, where torchaudio's kernel would take gigabytes.

    This is SciPy's ``resample_poly``; arguments and shapes are those of ``resample``. Its filter is designed once per
    pair of rates, because the design takes ten times as long as filtering a second of audio.
    """
    from scipy.signal import resample_poly

    common = gcd(sample_rate, target)
    up, down = target // common, sample_rate // common
    samples = audio.cpu().numpy()
    filtered = resample_poly(samples, up, down, axis=-1, window=_polyphase_filter(up, down).astype(samples.dtype))
    return torch.from_numpy(np.ascontiguousarray(filtered)).to(audio)


@lru_cache(maxsize=64)
def _polyphase_filter(up: int, down: int) -> np.ndarray:
    """The filter that ``resample_poly`` designs by default."""
    from scipy.signal import firwin

    most = max(up, down)
    return np.asarray(firwin(20 * most + 1, 1 / most, window=("kaiser", 5.0)))


def same_length(audio: Tensor, samples: int) -> Tensor:
    """Cuts or zero-pads ``[C, N]`` to ``samples``, because resampling there and back rounds the length up."""
    return pad(audio[..., :samples], (0, max(0, samples - audio.shape[-1])))


class BlockResampler:
    """Resamples a stream of blocks to the result of ``resample`` for the whole, in bounded memory.

    Args:
        sample_rate: sampling rate of the blocks, Hz.
        target: sampling rate of the result, Hz.
    """

    def __init__(self, sample_rate: int, target: int) -> None:
        common = gcd(sample_rate, target)
        self._sample_rate, self._target = sample_rate, target
        self._old, self._new = sample_rate // common, target // common
        # Samples before and after a position that the filter reads there.
        self._reach = ceil(ZEROS / ROLLOFF * max(self._old / self._new, 1)) + 2
        self._buffer: Tensor | None = None
        self._base = 0
        self._done = 0

    def push(self, block: Tensor, last: bool = False) -> Tensor:
        """The samples that are complete with another block.

        Args:
            block: next samples ``[..., n]``.
            last: whether the recording ends with this block.

        Returns:
            resampled audio ``[..., m]``; ``m`` may be 0.
        """
        if self._old == self._new:
            return block
        held = block if self._buffer is None else torch.cat([self._buffer, block], dim=-1)
        end = self._base + held.shape[-1]
        ready = ceil(end * self._new / self._old) if last else (end - self._reach) * self._new // self._old
        if ready <= self._done:
            self._buffer = held
            return held[..., :0]
        # The buffer always starts at a sample that exists at both rates (a multiple of ``_old`` samples).
        first = self._base // self._old * self._new
        resampled = resample(held, self._sample_rate, self._target)[..., self._done - first : ready - first]
        self._done = ready
        base = max(self._done * self._old // self._new - self._reach, 0) // self._old * self._old
        self._buffer, self._base = held[..., max(base - self._base, 0) :], max(base, self._base)
        return resampled
