"""The anchors of a MUSHRA test: low-passed originals, by which listeners and tests are compared."""

import numpy as np
import torch
from scipy.signal import firwin, kaiserord, oaconvolve
from torch import Tensor

LOW, MID = 3500, 7000
"""Hz up to which the low and the mid-range anchor of BS.1534 reach."""

STOP = 8 / 7
"""Start of the stop band, as a multiple of the cutoff: 4 kHz for 3.5 kHz."""

DECIBELS = 60.0
"""Attenuation in dB of the stop band; the ripple below the cutoff follows from it, 0.01 dB."""


def anchor(audio: Tensor, sample_rate: int, cutoff: int = LOW) -> Tensor:
    """The original without frequencies above a cutoff, aligned in time.

    ITU-R BS.1534 asks of the 3.5 kHz filter a ripple of at most 0.1 dB up to 3.5 kHz and at least 25 dB of attenuation
    at 4 kHz and 50 dB at 4.5 kHz. This one, linear in phase and with a Kaiser window, has 60 dB from 4 kHz on; that of
    7 kHz is the same in proportion, with 60 dB from 8 kHz on.

    Args:
        audio: samples ``[C, N]``.
        sample_rate: sample rate in Hz.
        cutoff: cutoff frequency in Hz.

    Raises:
        ValueError: the audio ends before the filter does: the anchor would be the original.
    """
    nyquist = sample_rate / 2
    if nyquist < STOP * cutoff:
        raise ValueError(
            f"an anchor of {cutoff / 1000:g} kHz needs originals of at least {2 * STOP * cutoff / 1000:g} kHz, "
            f"not {sample_rate / 1000:g}"
        )
    taps, beta = kaiserord(DECIBELS, (STOP - 1) * cutoff / nyquist)
    response = firwin(taps | 1, (STOP + 1) / 2 * cutoff, window=("kaiser", beta), fs=sample_rate)
    filtered = oaconvolve(audio.double().numpy(), response[None], mode="same", axes=-1)
    return torch.from_numpy(np.ascontiguousarray(filtered)).float()
