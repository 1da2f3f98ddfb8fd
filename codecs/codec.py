"""The object a user keeps: encoder, quantizer and decoder, and how audio is cut and scaled."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.quantizers.base import Quantized, Quantizer

TOLERANCE = 0.01
"""A bitrate means one the codec offers when it is within 1 % of it."""


@dataclass
class Codes:
    """What ``Codec.encode`` makes of audio.

    Attributes:
        segments: codes of each segment, ``int64 [B, K, T]``; one segment where the codec does not cut.
        scales: level of each segment, ``[B, 1, 1]``, where the codec normalises; otherwise None.
        length: samples of the audio.
        sample_rate: Hz.
        bitrate: kbps, nominal; of a learnt rate what these codes cost (``Quantizer.code_bits``).
    """

    segments: list[Tensor]
    scales: list[Tensor] | None
    length: int
    sample_rate: int
    bitrate: float

    @property
    def codes(self) -> Tensor:
        """The codes ``int64 [B, K, T]`` of audio coded in one piece.

        Raises:
            ValueError: it was coded in several segments.
        """
        if len(self.segments) != 1:
            raise ValueError(f"the audio was coded in {len(self.segments)} segments; see `segments`")
        return self.segments[0]

    def to(self, device: torch.device | str) -> "Codes":
        """The same codes on another device."""
        scales = None if self.scales is None else [scale.to(device) for scale in self.scales]
        return replace(self, segments=[segment.to(device) for segment in self.segments], scales=scales)


class Codec(nn.Module):
    """Audio to codes and back.

    Args:
        encoder: audio to latent.
        quantizer: latent to codes and back.
        decoder: latent to audio.
        sample_rate: Hz.
        bitrates: kbps offered; None offers every number of codebooks.
        segment: seconds that audio is cut into; None codes it whole.
        overlap: share of a segment that overlaps the next.
        normalize: divide each segment by its level, which is kept with the codes (EnCodec 3.1, non-streamable).

    Raises:
        ValueError: the parts do not fit each other, or a bitrate cannot be reached; the message says what would.
    """

    def __init__(
        self,
        encoder: Encoder,
        quantizer: Quantizer,
        decoder: Decoder,
        sample_rate: int,
        bitrates: list[float] | None = None,
        segment: float | None = None,
        overlap: float = 0.01,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        _check_parts(encoder, quantizer, decoder)
        if sample_rate <= 0:
            raise ValueError(f"sample_rate is {sample_rate} Hz; it should be positive")
        if segment is not None and segment <= 0 or not 0 <= overlap < 1:
            raise ValueError(f"segment is {segment} s and overlap {overlap}; right are a positive and one in [0, 1)")
        if segment is not None and segment * sample_rate < 1:
            raise ValueError(f"a segment of {segment} s is less than a sample at {sample_rate} Hz; it should be longer")
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self.sample_rate = sample_rate
        self.segment = segment
        self.overlap = overlap
        self.normalize = normalize
        self.chosen_bitrates = sorted(float(rate) for rate in bitrates) if bitrates else None
        reachable = self._reachable()
        for rate in self.chosen_bitrates or []:
            if not any(abs(rate - one) <= TOLERANCE * one for one in reachable):
                raise ValueError(f"{rate:g} kbps cannot be reached; these parts give {_listed(reachable)} kbps")

    def _reachable(self) -> list[float]:
        return [self.bitrate_of(n) for n in self.quantizer.offered_n_codebooks]

    @property
    def bitrates(self) -> list[float]:
        """Bitrates offered, kbps, ascending: those chosen, or all its parts give; a learnt rate as far as measured."""
        return self._reachable() if self.chosen_bitrates is None else list(self.chosen_bitrates)

    @property
    def channels(self) -> int:
        """Audio channels."""
        return self.encoder.channels

    @property
    def hop_length(self) -> int:
        """Samples per latent frame."""
        return self.encoder.hop_length

    @property
    def frame_rate(self) -> float:
        """Latent frames per second, Hz."""
        return self.sample_rate / self.hop_length

    def bitrate_of(self, n_codebooks: int) -> float:
        """The kbps of a number of codebooks: nominal, or of a learnt rate what ``measure_rate`` found."""
        return self.quantizer.bits_per_frame(n_codebooks) * self.frame_rate / 1000

    def n_codebooks_for(self, bitrate: float) -> int:
        """The number of codebooks of a bitrate in kbps.

        Raises:
            ValueError: the codec does not offer it (within 1 %); the message lists those offered.
        """
        if not any(abs(bitrate - one) <= TOLERANCE * one for one in self.bitrates):
            raise ValueError(f"the codec does not offer {bitrate:g} kbps; it offers {_listed(self.bitrates)} kbps")
        return min(self.quantizer.offered_n_codebooks, key=lambda n: abs(self.bitrate_of(n) - bitrate))

    def forward(self, audio: Tensor, n_codebooks: int | Tensor | None = None) -> tuple[Tensor, Quantized]:
        """The training pass over whole excerpts, not cut into segments.

        Args:
            audio: ``[B, C, N]``.
            n_codebooks: None (all), one number for the batch, or ``int64 [B]``.

        Returns:
            decoded audio ``[B, C, N]``, and what the quantizer made of the latent.
        """
        level = self._level(audio) if self.normalize else None
        quantized = self.quantizer(self.encoder(audio if level is None else audio / level), n_codebooks)
        decoded = _fit(self.decoder(quantized.latent), audio.shape[-1])
        return (decoded if level is None else decoded * level), quantized

    @torch.no_grad()
    def encode(self, audio: Tensor, bitrate: float | None = None, n_codebooks: int | None = None) -> Codes:
        """Audio to codes.

        Args:
            audio: ``[B, C, N]``, of any floating-point type, full scale 1, at ``sample_rate``.
            bitrate: kbps, one of ``bitrates`` within 1 %; None takes the highest.
            n_codebooks: in place of a bitrate.

        Raises:
            ValueError: audio of another shape, type or number of channels, empty or not finite; a bitrate not offered.
        """
        self._check_audio(audio)
        audio = audio.to(next(self.parameters()).dtype)
        if bitrate is not None and n_codebooks is not None:
            raise ValueError("give a bitrate or n_codebooks, not both")
        if n_codebooks is None:
            n_codebooks = self.n_codebooks_for(self.bitrates[-1] if bitrate is None else bitrate)
        count = self.quantizer.check_n_codebooks(n_codebooks)
        segments: list[Tensor] = []
        scales: list[Tensor] = []
        for start in self._starts(audio.shape[-1]):
            piece = audio[..., start : start + self._segment_length(audio.shape[-1])]
            if self.normalize:
                scales.append(self._level(piece))
                piece = piece / scales[-1]
            segments.append(self.quantizer.encode(self.encoder(piece), count))
        kbps = self.bitrate_of(count)
        if self.quantizer.learns_rate:
            bits, frames = self._spent(segments)
            kbps = bits / frames * self.frame_rate / 1000
        return Codes(segments, scales if self.normalize else None, audio.shape[-1], self.sample_rate, kbps)

    @torch.no_grad()
    def decode(self, codes: Codes) -> Tensor:
        """Codes to audio ``[B, C, N]`` of the original's exact length.

        Raises:
            ValueError: the codes come from a codec of another sampling rate, or lack the levels this codec needs.
        """
        if codes.sample_rate != self.sample_rate:
            raise ValueError(f"the codes are of {codes.sample_rate} Hz audio; this codec is for {self.sample_rate} Hz")
        if self.normalize and codes.scales is None:
            raise ValueError("this codec normalises segments, but the codes have no scales")
        pieces = [self.decoder(self.quantizer.decode(segment)) for segment in codes.segments]
        if codes.scales is not None:
            pieces = [piece * scale for piece, scale in zip(pieces, codes.scales, strict=True)]
        if self.segment is None:
            return _fit(pieces[0], codes.length)
        return _fit(_overlap_add(pieces, self._stride()), codes.length)

    def measure_rate(self, clips: Iterable[Tensor]) -> float:
        """The mean kbps that the codes of some audio cost, over all frames of all clips.

        Where a learnt prior says what codes cost, the codec offers this bitrate from then on, saved and loaded, too.

        Args:
            clips: audio ``[B, C, N]``, as ``encode`` takes it.

        Raises:
            ValueError: there are no clips.
        """
        bits, frames = 0.0, 0
        for clip in clips:
            spent, over = self._spent(self.encode(clip).segments)
            bits, frames = bits + spent, frames + over
        if not frames:
            raise ValueError("there are no clips to measure the bitrate on")
        if self.quantizer.log_prior() is not None:
            self.quantizer.measured_bits = bits / frames
        return bits / frames * self.frame_rate / 1000

    def save(self, directory: Path | str) -> None:
        """Write ``config.json`` and ``model.safetensors`` (weight norm folded), each whole or not at all.

        Args:
            directory: made where it is missing.
        """
        from codeclab.codecs.storage import save

        save(self, Path(directory))

    @classmethod
    def from_pretrained(cls, path: Path | str, parts: Sequence[type] = (), for_training: bool = False) -> "Codec":
        """Load a codec.

        Args:
            path: a folder written by ``save``, a run's folder, a folder written by ``transformers``'
                ``save_pretrained`` of EncodecModel or DacModel, a file released by the authors of EnCodec
                (``encodec_24khz-….th``) or of DAC (``weights.pth``), or, where no such path exists, a hub id
                (``facebook/encodec_24khz``), which is downloaded unless it is in the hub's cache.
            parts: the user's own part classes, where the codec was built from some.
            for_training: with weight norm, which saving folds into the weights, as the parts are built with.

        Raises:
            ValueError: no codec there, or one that cannot be loaded; the message names what differs.
        """
        from codeclab.codecs.storage import load

        return load(path, parts, for_training)

    @classmethod
    def from_recipe(cls, name: str, scale: str | None = None) -> "Codec":
        """An untrained codec.

        Args:
            name: a recipe's name, or a path to a YAML.
            scale: ``demo``, ``mini``, ``lab`` or ``paper``; None leaves the recipe's own sizes.

        Raises:
            ValueError: there is no such recipe or scale; the message lists those there are.
        """
        # Recipes belong to the experiments, which import this module.
        return import_module("codeclab.experiments.assemble").codec_from_recipe(name, scale)

    def _level(self, audio: Tensor) -> Tensor:
        """Level of each item, ``[B, 1, 1]``: rms over time of the mean of the channels, as released."""
        return audio.mean(dim=1, keepdim=True).square().mean(dim=2, keepdim=True).sqrt() + 1e-8

    def _spent(self, segments: list[Tensor]) -> tuple[float, int]:
        """Bits that codes cost, and of how many frames, over all items."""
        bits = sum(float(self.quantizer.code_bits(codes).sum()) * codes.shape[2] for codes in segments)
        return bits, sum(codes.shape[0] * codes.shape[2] for codes in segments)

    def _segment_length(self, length: int) -> int:
        return length if self.segment is None else int(self.segment * self.sample_rate)

    def _stride(self) -> int:
        assert self.segment is not None
        return max(1, int((1 - self.overlap) * int(self.segment * self.sample_rate)))

    def _starts(self, length: int) -> range:
        return range(1) if self.segment is None else range(0, length, self._stride())

    def _check_audio(self, audio: Tensor) -> None:
        if audio.ndim != 3 or audio.shape[1] != self.channels:
            raise ValueError(f"audio should be [B, {self.channels}, N]; this is {list(audio.shape)}")
        if not audio.is_floating_point():
            raise ValueError(f"audio should be floating point with full scale 1; this is {audio.dtype}")
        if audio.shape[-1] == 0 or audio.shape[0] == 0:
            raise ValueError(f"there is no audio in a tensor of shape {list(audio.shape)}")
        if not torch.isfinite(audio).all():
            raise ValueError("audio has values that are NaN or infinite")


def _listed(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:.4g}" for rate in rates)


def _fit(audio: Tensor, length: int) -> Tensor:
    """Cut, or complete with zeros, to ``length`` samples."""
    missing = length - audio.shape[-1]
    return F.pad(audio, (0, missing)) if missing > 0 else audio[..., :length]


def _overlap_add(pieces: list[Tensor], stride: int) -> Tensor:
    """Add segments ``stride`` samples apart, each weighted by a triangle, divided by the summed weights."""
    length = pieces[0].shape[-1]
    steps = torch.linspace(0, 1, length + 2, device=pieces[0].device, dtype=pieces[0].dtype)[1:-1]
    triangle = 0.5 - (steps - 0.5).abs()
    total = max(index * stride + piece.shape[-1] for index, piece in enumerate(pieces))
    added = pieces[0].new_zeros(*pieces[0].shape[:-1], total)
    weight = pieces[0].new_zeros(total)
    for index, piece in enumerate(pieces):
        place = slice(index * stride, index * stride + piece.shape[-1])
        added[..., place] += piece * triangle[: piece.shape[-1]]
        weight[place] += triangle[: piece.shape[-1]]
    return added / weight


def _check_parts(encoder: Encoder, quantizer: Quantizer, decoder: Decoder) -> None:
    if list(encoder.strides) != list(decoder.strides):
        raise ValueError(
            f"the encoder's strides are {list(encoder.strides)} and the decoder's {list(decoder.strides)}; "
            "both are written in encoder order and should be the same"
        )
    for name, part in (("quantizer", quantizer), ("decoder", decoder)):
        if part.dimension != encoder.dimension:
            raise ValueError(
                f"the encoder's dimension is {encoder.dimension} and the {name}'s {part.dimension}; "
                "they should be the same"
            )
    if encoder.channels != decoder.channels:
        raise ValueError(
            f"the encoder takes {encoder.channels} channels and the decoder gives {decoder.channels}; "
            "they should be the same"
        )
    ends: list[Encoder | Decoder] = [encoder, decoder]
    for end in ends:
        if end.hop_length != math.prod(end.strides):
            raise ValueError(
                f"the hop_length of {type(end).__name__} is {end.hop_length}; with strides {list(end.strides)} it "
                f"should be {math.prod(end.strides)}"
            )
