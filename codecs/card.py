"""Summaries of a codec: a line in a terminal, a card with audio players in a notebook."""

import base64
import html
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import soundfile
from torch import Tensor

if TYPE_CHECKING:
    from codeclab.codecs.codec import Codec

STYLE = "border:1px solid #8884;border-radius:6px;padding:.6em 1em;display:inline-block"


@dataclass
class Card:
    """A codec's properties and some audio, which a notebook displays with a player for each.

    Attributes:
        title: title of the card.
        facts: properties, value by name.
        sounds: audio ``[C, N]`` by name.
        sample_rate: sampling rate of the audio, Hz.
    """

    title: str
    facts: dict[str, str]
    sounds: dict[str, Tensor] = field(default_factory=dict)
    sample_rate: int = 0

    def _repr_html_(self) -> str:
        cells = {name: html.escape(text) for name, text in self.facts.items()}
        for name, sound in self.sounds.items():
            cells[name] = f'<audio controls src="{_wav(sound, self.sample_rate)}"></audio>'
        rows = [f"<tr><th>{html.escape(name)}</th><td>{cell}</td></tr>" for name, cell in cells.items()]
        return f'<div style="{STYLE}"><b>{html.escape(self.title)}</b><table>{"".join(rows)}</table></div>'


def one_line(codec: "Codec") -> str:
    """A codec in a line: rate, channels, kbps, frames, parameters and parts."""
    return f"Codec({', '.join(_facts(codec).values())})"


def card(codec: "Codec", sounds: dict[str, Tensor] | None = None) -> Card:
    """A codec's card.

    Args:
        codec: codec to summarize.
        sounds: audio ``[C, N]`` at the codec's rate, by name, each with a player.
    """
    return Card("Codec", _facts(codec), sounds or {}, codec.sample_rate)


def _facts(codec: "Codec") -> dict[str, str]:
    rates = codec.bitrates
    offered = f"{rates[0]:.4g}" if len(rates) == 1 else f"{rates[0]:.4g} to {rates[-1]:.4g}"
    channels = {1: "mono", 2: "stereo"}.get(codec.channels, f"{codec.channels} channels")
    parts = " + ".join(type(part).__name__ for part in (codec.encoder, codec.quantizer, codec.decoder))
    facts = {
        "rate": f"{codec.sample_rate} Hz",
        "channels": channels,
        "bitrates": f"{offered} kbps",
        "frames": f"{codec.frame_rate:.4g} frames/s",
        "parameters": f"{sum(parameter.numel() for parameter in codec.parameters()) / 1e6:.1f} M parameters",
        "parts": parts,
    }
    if codec.segment is not None:
        facts["cut"] = f"segments of {codec.segment:g} s"
    return facts


def _wav(audio: Tensor, sample_rate: int) -> str:
    """Audio ``[C, N]`` as the data URI of a 16-bit WAV file."""
    data = io.BytesIO()
    soundfile.write(data, audio.detach().clamp(-1, 1).cpu().numpy().T, sample_rate, "PCM_16", format="WAV")
    return "data:audio/wav;base64," + base64.b64encode(data.getvalue()).decode()
