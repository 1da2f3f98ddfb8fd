"""Conversion of a user's audio, a file, an array or a tensor, to a codec's input."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codeclab.codecs.audio_file import AudioFile
from codeclab.codecs.resample import resample
from codeclab.codecs.wording import counted
from codeclab.quantizers.tensor_input import NotATensorError

AudioLike = Tensor | NDArray[Any] | Path | str


class ResampledWarning(UserWarning):
    """Audio had another sampling rate than the codec, and was resampled."""


def codec_audio(audio: AudioLike, sample_rate: int | None, codec_rate: int, channels: int) -> Tensor:
    """Audio ``[B, C, N]`` for a codec.

    Args:
        audio: tensor ``[B, C, N]``, NumPy array ``[N]``, ``[C, N]`` or ``[B, C, N]``, or path of an audio file,
            whose channels are mixed or repeated to the codec's.
        sample_rate: sampling rate of a tensor or an array, Hz; None is the codec's. A file has its own.
        codec_rate: sampling rate of the codec, Hz.
        channels: channels of the codec.

    Raises:
        NotATensorError: ``audio`` is neither a tensor nor an array nor a path.
        ValueError: the file does not exist; the codec does not take the shape, type or number of channels; or the audio
            has no samples, or values that are not finite.
    """
    if isinstance(audio, str | Path):
        file = AudioFile(audio)
        if sample_rate not in (None, file.sample_rate):
            raise ValueError(
                f"{audio} is of {file.sample_rate} Hz, not {sample_rate}; leave sample_rate out for a file"
            )
        sample_rate = file.sample_rate
        tensor = fit_channels(file.read(), channels)[None]
    elif isinstance(audio, np.ndarray):
        tensor = _from_array(audio, channels)
    elif isinstance(audio, Tensor):
        tensor = audio
    else:
        raise NotATensorError(
            f"audio is a {type(audio).__name__}; it should be a tensor [B, {channels}, N], a NumPy array or a path"
        )
    _check(tensor, channels)
    if sample_rate is None or sample_rate == codec_rate:
        return tensor
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer) or sample_rate < 1:
        raise ValueError(f"sample_rate is {sample_rate!r}; it should be a positive whole number of Hz, such as 44100")
    warnings.warn(
        f"audio of {sample_rate} Hz is resampled to the codec's {codec_rate} Hz", ResampledWarning, stacklevel=4
    )
    return resample(tensor, int(sample_rate), codec_rate)


def fit_channels(audio: Tensor, channels: int) -> Tensor:
    """``[C, N]`` as ``[channels, N]``: averaged to mono, repeated from mono, or cut to the first channels.

    Raises:
        ValueError: there are several channels, but fewer than ``channels``.
    """
    present = audio.shape[0]
    if present == channels:
        return audio
    if channels == 1:
        return audio.mean(dim=0, keepdim=True)
    if present == 1:
        return audio.expand(channels, -1)
    if present > channels:
        return audio[:channels]
    raise ValueError(f"audio has {counted(present, 'channel')}; the codec takes {channels} or 1")


def _from_array(audio: NDArray[Any], channels: int) -> Tensor:
    if not np.issubdtype(audio.dtype, np.floating):
        raise ValueError(
            f"audio should be floating point with full scale 1; this array is {audio.dtype}, of which 16-bit samples "
            "become audio / 32768"
        )
    if audio.ndim == 2 and audio.shape[1] == channels != audio.shape[0]:
        raise ValueError(
            f"an array of audio is [C, N], here [{channels}, N]; this is {list(audio.shape)}, as soundfile reads it: "
            "give audio.T"
        )
    shaped = audio.reshape((1,) * (3 - audio.ndim) + audio.shape) if audio.ndim in (1, 2) else audio
    native = np.ascontiguousarray(shaped, dtype=shaped.dtype.newbyteorder("="))
    return torch.from_numpy(native if native.flags.writeable else native.copy())


def _check(audio: Tensor, channels: int) -> None:
    if audio.ndim != 3 or audio.shape[1] != channels:
        raise ValueError(f"audio should be [B, {channels}, N]; this is {list(audio.shape)}")
    if not audio.is_floating_point():
        raise ValueError(f"audio should be floating point with full scale 1; this is {audio.dtype}")
    if audio.shape[-1] == 0 or audio.shape[0] == 0:
        raise ValueError(f"there is no audio in a tensor of shape {list(audio.shape)}")
    if not torch.isfinite(audio).all():
        raise ValueError("audio has values that are NaN or infinite")
