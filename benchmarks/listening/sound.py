"""Stimuli as files that a page loads from disk as well as from a server."""

import base64
import io

import soundfile
from torch import Tensor


def wav(audio: Tensor, sample_rate: int) -> bytes:
    """Samples ``[C, N]`` within [-1, 1] as a WAV file of 16 bits; files of equally long clips have the same size."""
    target = io.BytesIO()
    soundfile.write(target, audio.T.numpy(), sample_rate, format="WAV", subtype="PCM_16")
    return target.getvalue()


def script(name: str, content: bytes) -> str:
    """A stimulus's file as a script: from disk, a browser lets a page load scripts, but no audio it could switch."""
    return f'sound("{name}","{base64.b64encode(content).decode()}");\n'
