"""Audio as small files that a browser plays and shows."""

import io
import math
from typing import Any

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from codeclab.codecs.resample import resample

OPUS_RATE = 48000
"""Hz; Opus knows no higher rate, and browsers decode at this one."""

KBPS = 96
"""Bitrate of each channel in kbps, at which Opus loses far less than the codecs that are compared."""

BANDS, COLUMNS = 128, 512
"""Pixels of a spectrogram."""

RANGE = 80.0
"""Decibels below the original's loudest that a spectrogram shows."""

SHADES = 64
N_FFT = 1024


def opus(audio: Tensor, sample_rate: int) -> bytes:
    """An Ogg file of Opus, of ``KBPS`` a channel; the same audio gives the same bytes.

    Args:
        audio: samples ``[C, N]``, mono or stereo; what exceeds full scale is clipped.
        sample_rate: sample rate in Hz.
    """
    import av

    samples = resample(audio.detach().cpu().float(), sample_rate, OPUS_RATE).clamp(-1, 1)
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    target = io.BytesIO()
    # Without this flag every file has another serial number.
    with av.open(target, "w", format="ogg", container_options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("libopus", rate=OPUS_RATE)
        stream.layout = layout
        stream.bit_rate = 1000 * KBPS * samples.shape[0]
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1).numpy().copy(), format="flt", layout=layout)
        frame.sample_rate, frame.pts = OPUS_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def mel(hertz: float) -> float:
    """The mel scale of O'Shaughnessy (1987): ``2595 log10(1 + f / 700)``."""
    return 2595 * math.log10(1 + hertz / 700)


def decibels(audio: Tensor, sample_rate: int) -> NDArray[np.float64]:
    """Power over mel-spaced frequencies and time, in dB.

    Args:
        audio: samples ``[C, N]``; channels are averaged.
        sample_rate: sample rate in Hz; the highest frequency is its half.

    Returns:
        levels ``[BANDS, frames]``, from the lowest frequency, at most ``COLUMNS`` frames.
    """
    mono = audio.detach().cpu().float().mean(dim=0)
    hop = max(N_FFT // 8, -(-mono.numel() // (COLUMNS - 1)))
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(mono, N_FFT, hop, window=window, pad_mode="constant", return_complex=True)
    power = spectrum.abs().square().double().numpy()
    centres = mel(sample_rate / 2) * (np.arange(BANDS) + 0.5) / BANDS
    bins = 700 * (10 ** (centres / 2595) - 1) * N_FFT / sample_rate
    return 10 * np.log10(np.stack([np.interp(bins, np.arange(len(frame)), frame) for frame in power.T], axis=1) + 1e-10)


def spectrogram(audio: Tensor, sample_rate: int, loudest: float) -> bytes:
    """A picture of ``decibels``, the highest frequency at its top.

    Args:
        audio: samples ``[C, N]``.
        sample_rate: sample rate in Hz.
        loudest: level of the brightest colour in dB, so that versions of a clip can be compared.
    """
    return picture(np.flipud((decibels(audio, sample_rate) - loudest) / RANGE + 1), "magma")


def picture(values: NDArray[np.float64], colours: str) -> bytes:
    """A PNG with one pixel for each value.

    Args:
        values: brightness ``[rows, columns]`` from 0 to 1; others are clipped, NaN is 0.
        colours: name of one of matplotlib's colour maps.
    """
    shades = np.round(np.nan_to_num(values).clip(0, 1) * (SHADES - 1)).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(shades))
    palette = 255 * matplotlib.colormaps[colours](np.linspace(0, 1, SHADES))[:, :3]
    image.putpalette(palette.round().astype(np.uint8).tobytes())
    target = io.BytesIO()
    image.save(target, format="PNG", optimize=True)
    return target.getvalue()
