"""Raw PCM, which arrives in pieces of any size, to audio and back."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codeclab.codecs.io.pcm_formats import FORMATS
from codeclab.codecs.wording import counted

WAV_START = 12
"""Bytes by which a WAV file is known."""


class Pcm:
    """Raw PCM to audio and back.

    Args:
        name: sample type, one of ``FORMATS``.
        channels: number of interleaved channels.
    """

    def __init__(self, name: str, channels: int) -> None:
        self.dtype, self.channels = FORMATS[name], channels
        self._incomplete = b""
        self._start = b""

    def audio(self, data: bytes) -> Tensor:
        """The complete samples ``[1, C, n]`` after more bytes; an incomplete sample waits for its other bytes.

        Raises:
            ValueError: the bytes begin a WAV file, whose header and sample type are not those of raw PCM.
        """
        self._start = (self._start + data[:WAV_START])[:WAV_START]
        if self._start[:4] in (b"RIFF", b"RF64") and self._start[8:] == b"WAVE":
            raise ValueError(
                "the input is a WAV file, not raw PCM; for files there are `codeclab encode` and `codeclab reconstruct`"
            )
        data = self._incomplete + data
        whole = len(data) - len(data) % (self.dtype.itemsize * self.channels)
        self._incomplete = data[whole:]
        samples: NDArray[np.float32] = np.frombuffer(data[:whole], self.dtype).astype(np.float32)
        if self.dtype.kind == "i":
            samples /= 32768
        return torch.from_numpy(samples.reshape(-1, self.channels).T.copy())[None]

    def bytes(self, audio: Tensor) -> bytes:
        """The bytes of audio ``[1, C, n]``; integer formats are clipped at full scale."""
        samples = audio[0].T.cpu().numpy()
        if self.dtype.kind == "i":
            samples = np.rint(np.clip(samples * 32768, -32768, 32767))
        return samples.astype(self.dtype).tobytes()

    def check_end(self) -> None:
        """Refuse an end within a sample.

        Raises:
            ValueError: the input ended within a sample; the message says what was expected.
        """
        if self._incomplete:
            raise ValueError(
                f"the input ends {counted(len(self._incomplete), 'byte')} into a sample of "
                f"{counted(self.channels, 'channel')} of {counted(self.dtype.itemsize, 'byte')}; "
                "does it have another --format or number of channels?"
            )
