"""The codes of audio, with what is needed to decode them."""

import json
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from codeclab.codecs.wording import counted

if TYPE_CHECKING:
    from codeclab.codecs.codec import Codec

KIND = "codeclab codes, version 1"
"""Mark of a file written by ``Codes.save``."""

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64)
"""Types of codes that are read as int64."""


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
        """The codes of the first codebooks alone, of a bitrate in kbps.

        Raises:
            ValueError: there are not as many codebooks.
        """
        there = self.segments[0].shape[1]
        if not 1 <= n_codebooks <= there:
            raise ValueError(f"n_codebooks is {n_codebooks}; these codes have {there}, so it should be 1 to {there}")
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

        Raises:
            ValueError: a segment is not an integer tensor ``[B, K, T]``.
        """
        segments = as_int64(self).segments
        tensors = {f"segments.{index}": _shortened(segment) for index, segment in enumerate(segments)}
        for index, scale in enumerate(self.scales or []):
            tensors[f"scales.{index}"] = scale.cpu().contiguous()
        about = {"length": int(self.length), "sample_rate": int(self.sample_rate), "bitrate": float(self.bitrate)}
        about |= {"segments": len(self.segments), "scaled": self.scales is not None}
        # Not by save_file, which ignores the umask and creates a file that only its owner can read.
        Path(path).write_bytes(save(tensors, {"kind": KIND, "about": json.dumps(about)}))

    @classmethod
    def load(cls, path: Path | str) -> "Codes":
        """Read a file of ``save`` onto the CPU.

        Raises:
            ValueError: ``save`` did not write the file.
        """
        if Path(path).is_dir():
            raise ValueError(f"{path} is a folder; it should be a file of Codes.save")
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


def as_int64(codes: Codes) -> Codes:
    """The codes as int64, of whatever integer type they are.

    Raises:
        ValueError: a segment is not an integer tensor ``[B, K, T]``, or they are of different numbers of recordings.
    """
    for segment in codes.segments:
        if not isinstance(segment, Tensor):
            raise ValueError(
                f"a segment of the codes is a {type(segment).__name__}; it should be an int64 tensor [batch, "
                "codebooks, frames], as torch.as_tensor makes one of an array"
            )
        if segment.dtype not in INTEGERS or segment.dim() != 3:
            raise ValueError(
                f"the codes are {segment.dtype} of shape {tuple(segment.shape)}; "
                "they should be int64 of shape [batch, codebooks, frames]"
            )
        if segment.shape[:2] != codes.segments[0].shape[:2]:
            raise ValueError(
                f"segments of the codes have shapes {tuple(codes.segments[0].shape)} and {tuple(segment.shape)}; they "
                "should be of the same recordings and codebooks"
            )
    return replace(codes, segments=[segment.long() for segment in codes.segments])


def check_length(codes: Codes, codec: "Codec") -> None:
    """Refuse codes of whole recordings whose frames do not fit their length.

    Raises:
        ValueError: the length is no positive whole number, or takes more or fewer frames or segments than there are.
    """
    if isinstance(codes.length, bool) or not isinstance(codes.length, Integral) or codes.length < 1:
        raise ValueError(f"length of the codes is {codes.length!r}; it should be a positive whole number of samples")
    hop, cut = codec.hop_length, codec.segments
    frames = [segment.shape[-1] for segment in codes.segments]
    needed = [-(-(end - start) // hop) for start, end in codec.spans(codes.length)]
    # Of a damaged file the last segments are whole, because nothing tells where the audio ended.
    most = needed[0] if cut is None else -(-cut.length // hop)
    if len(frames) == len(needed) and all(least <= held <= most for least, held in zip(needed, frames, strict=True)):
        return
    allowed = ""
    if cut is None and len(frames) == 1 and frames[0]:
        allowed = f", which are {(frames[0] - 1) * hop + 1:,} to {counted(frames[0] * hop, 'sample')}"
    raise ValueError(
        f"length of the codes is {counted(codes.length, 'sample')}, {counted(sum(needed), 'frame')} of {hop} in "
        f"{counted(len(needed), 'segment')}; the codes have {counted(sum(frames), 'frame')} in "
        f"{counted(len(frames), 'segment')}{allowed}"
    )


def checked(codes: Codes, codec: "Codec") -> Codes:
    """The codes as int64, refused where they cannot be of a codec.

    Raises:
        ValueError: they are no ``Codes`` of integer tensors ``[B, K, T]``, the sampling rate differs, or only one of
            the two has levels.
    """
    if not isinstance(codes, Codes):
        raise ValueError(
            f"codes are a {type(codes).__name__}; a decoder takes the Codes of an encoder; for files: `codeclab decode`"
        )
    if codes.sample_rate != codec.sample_rate:
        raise ValueError(f"the codes are of {codes.sample_rate} Hz audio; this codec is for {codec.sample_rate} Hz")
    if codec.normalize and codes.scales is None:
        raise ValueError("this codec normalizes segments, but the codes have no scales")
    if codes.scales is not None and not codec.normalize:
        raise ValueError("the codes have scales, but this codec does not normalize segments")
    return as_int64(codes)


def _shortened(codes: Tensor) -> Tensor:
    """The codes on the CPU, in the first type that holds all of them."""
    low, high = (int(codes.min()), int(codes.max())) if codes.numel() else (0, 0)
    for dtype in (torch.int16, torch.int32):
        if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max:
            return codes.cpu().to(dtype).contiguous()
    return codes.cpu().contiguous()
