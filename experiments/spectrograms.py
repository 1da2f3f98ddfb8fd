"""A picture of a clip, what a codec made of it, and where the two differ."""

from typing import Any

import matplotlib
import numpy as np
import torch
from torch import Tensor

N_FFT = 1024
COLUMNS, ROWS, GAP = 320, 256, 4
FLOOR_DB = 80.0
"""What is so far below the original's loudest point is black."""
SPAN_DB = 40.0
"""The difference from which the colour of the third panel changes no more."""


def levels(audio: Tensor) -> Tensor:
    """Level of ``[C, N]``'s mean over channels in dB, ``[ROWS, COLUMNS]``: lowest frequency first."""
    mono = audio.float().mean(0).cpu()
    mono = torch.nn.functional.pad(mono, (0, max(0, N_FFT - len(mono))))
    hop = max(len(mono) // COLUMNS, 1)
    power = torch.stft(mono, N_FFT, hop, window=torch.hann_window(N_FFT), return_complex=True).abs().square()
    return 10 * torch.log10(torch.nn.functional.adaptive_avg_pool2d(power[None], (ROWS, COLUMNS))[0] + 1e-12)


def spectrogram_image(original: Tensor, coded: Tensor) -> Any:
    """Original, reconstruction and their difference side by side, ``uint8 [ROWS, 3 * COLUMNS + 2 * GAP, 3]``.

    Time runs to the right and frequency, linear, from 0 Hz at the bottom to half the sampling rate. The third panel is
    red where the reconstruction is louder and blue where it is softer, white where they agree or both are silent.

    Args:
        original: ``[C, N]``.
        coded: ``[C, N]``.
    """
    before, after = levels(original), levels(coded)
    top = float(before.max())
    before, after = (level.clamp(min=top - FLOOR_DB) for level in (before, after))
    heat, sign = matplotlib.colormaps["magma"], matplotlib.colormaps["RdBu_r"]
    panels = [
        heat(((before - top) / FLOOR_DB + 1).numpy()),
        heat(((after - top) / FLOOR_DB + 1).clamp(max=1).numpy()),
        sign(((after - before) / (2 * SPAN_DB) + 0.5).clamp(0, 1).numpy()),
    ]
    gap = np.ones((ROWS, GAP, 3))
    colours = [panel[::-1, :, :3] for panel in panels]
    return (np.concatenate([colours[0], gap, colours[1], gap, colours[2]], axis=1) * 255).astype(np.uint8)
