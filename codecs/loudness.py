"""Loudness by ITU-R BS.1770-4."""

from math import inf, log10

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import loudness

GATE_SECONDS = 0.4
QUIETEST_LUFS = -70.0
"""The standard's absolute gate; quieter audio has no loudness."""

HEADROOM = 0.25
"""Peak to which louder audio is scaled down before its loudness is measured."""


def measure_lufs(audio: Tensor, sample_rate: int) -> float:
    """Integrated loudness of ``[C, N]`` by ITU-R BS.1770-4 in LUFS; minus infinity for silence.

    Audio may exceed full scale, like a codec's output. Gating works on blocks of 400 ms. A shorter excerpt is one
    block: its K-weighted power is averaged over its duration, without gating. torchaudio's weighting filter
    approximates the standard's; it is 0.27 dB too low at 1 kHz.
    """
    block = round(GATE_SECONDS * sample_rate)
    length = audio.shape[-1]
    # torchaudio's filters clip at full scale, and the weighting raises treble by 4 dB.
    down = max(1.0, float(audio.abs().max()) / HEADROOM)
    audio, correction = audio / down, 20 * log10(down)
    if length < block:
        audio = torch.nn.functional.pad(audio, (0, block - length))
        correction += 10 * log10(block / length)
    # More than two channels would be weighted like surround loudspeakers, which they may not be.
    measured = float(loudness(audio[:2].double(), sample_rate)) + correction
    return measured if np.isfinite(measured) else -inf


def loudness_matched(audio: Tensor, like: Tensor | float, sample_rate: int) -> Tensor:
    """Audio ``[C, N]`` scaled to the loudness of ``like``, or to LUFS; unchanged if either cannot be measured."""
    wanted = measure_lufs(like, sample_rate) if isinstance(like, Tensor) else like
    present = measure_lufs(audio, sample_rate)
    return audio if min(present, wanted) < QUIETEST_LUFS else audio * 10 ** ((wanted - present) / 20)
