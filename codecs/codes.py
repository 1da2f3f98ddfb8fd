"""The codes of audio, with what is needed to decode them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

if TYPE_CHECKING:
    from codeclab.codecs.codec import Codec

KIND = "codeclab codes, version 1"
"""Mark of a file written by ``Codes.save``."""

SMALL = torch.iinfo(torch.int16).max
"""Largest code that is written with 16 bits."""


@dataclass
class Codes:
    """The output of ``Codec.encode``.

    Attributes:
        segments: codes of each segment, ``int64 [B, K, T]``; one segment if the codec does not cut audio.
        scales: level of each segment, ``[B, 1, 1]``, if the codec normalizes; otherwise None.
        length: number of samples of the audio, per channel.
        sample_rate: sample rate in Hz.
        bitrate: nominal bitrate in kbps; for a learnt rate the cost of these codes (``Quantizer.code_bits``).
    """

    segments: list[Tensor]
    scales: list[Tensor] | None
    length: int
    sample_rate: int
    bitrate: float

    @property
    def codes(self) -> Tensor:
        """The codes ``int64 [B, K, T]`` of audio coded in one segment.

        Raises:
            ValueError: the audio was coded in several segments.
        """
        if len(self.segments) != 1:
            raise ValueError(f"the audio was coded in {len(self.segments)} segments; see `segments`")
        return self.segments[0]

    @property
    def seconds(self) -> float:
        """Length of the audio in seconds."""
        return self.length / self.sample_rate

    def first(self, n_codebooks: int, bitrate: float) -> "Codes":
        """The codes of the first codebooks alone, of a bitrate in kbps."""
        return replace(self, segments=[segment[:, :n_codebooks] for segment in self.segments], bitrate=bitrate)

    def to(self, device: torch.device | str) -> "Codes":
        """The same codes on another device."""
        scales = None if self.scales is None else [scale.to(device) for scale in self.scales]
        return replace(self, segments=[segment.to(device) for segment in self.segments], scales=scales)

    def save(self, path: Path | str) -> None:
        """Write the codes, a whole batch of them, as a safetensors file.

        ``codeclab.codecs.entropy.container`` writes smaller files of one recording, which also identify their codec.

        Args:
            path: path of the file, usually ``….safetensors``.
        """
        tensors = {f"segments.{index}": _shortened(segment) for index, segment in enumerate(self.segments)}
        for index, scale in enumerate(self.scales or []):
            tensors[f"scales.{index}"] = scale.cpu().contiguous()
        about = {"length": self.length, "sample_rate": self.sample_rate, "bitrate": self.bitrate}
        about |= {"segments": len(self.segments), "scaled": self.scales is not None}
        # Not by save_file, which ignores the umask and creates a file that only its owner can read.
        Path(path).write_bytes(save(tensors, {"kind": KIND, "about": json.dumps(about)}))

    @classmethod
    def load(cls, path: Path | str) -> "Codes":
        """Read a file of ``save`` onto the CPU.

        Raises:
            ValueError: ``save`` did not write the file.
        """
        try:
            with safe_open(Path(path), "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("kind") != KIND:
                    raise ValueError(f"it is not marked as {KIND!r}")
                about = json.loads(metadata["about"])
                segments = [file.get_tensor(f"segments.{index}").long() for index in range(about["segments"])]
                scales = [file.get_tensor(f"scales.{index}") for index in range(about["segments"] * about["scaled"])]
            settings = int(about["length"]), int(about["sample_rate"]), float(about["bitrate"])
            return cls(segments, scales if about["scaled"] else None, *settings)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a file of Codes.save: {error}") from error


def check_codec(codes: Codes, codec: "Codec") -> None:
    """Refuse codes that cannot be of a codec.

    Raises:
        ValueError: they are no ``Codes``, the sampling rate differs, or only one of the two has levels.
    """
    if not isinstance(codes, Codes):
        raise ValueError(f"codes are a {type(codes).__name__}; a decoder takes the Codes of an encoder")
    if codes.sample_rate != codec.sample_rate or (codes.scales is not None) != codec.normalize:
        raise ValueError(
            "the codes are of another codec: their sampling rate differs, or only one of the two has levels"
        )


def _shortened(codes: Tensor) -> Tensor:
    small = codes.numel() == 0 or int(codes.max()) <= SMALL
    return codes.cpu().to(torch.int16 if small else torch.int32).contiguous()
