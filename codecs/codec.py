"""The codec: encoder, quantizer and decoder, and the segmentation and normalization of audio."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from codeclab.codecs.audio_input import AudioLike, codec_audio
from codeclab.codecs.base import Decoder, Encoder, check_float32, check_parts
from codeclab.codecs.bitrate import is_among, listed_rates, mean_bits
from codeclab.codecs.card import Card, card, one_line
from codeclab.codecs.codes import Codes, check_length, checked
from codeclab.codecs.layers.streaming import pushed_whole
from codeclab.codecs.resample import same_length
from codeclab.codecs.segments import Segments
from codeclab.quantizers.base import Quantized, Quantizer, unquantized
from codeclab.quantizers.rate_error import RateError
from codeclab.quantizers.tensor_input import require_tensor

if TYPE_CHECKING:
    from codeclab.codecs.engines.engine import Engine
    from codeclab.codecs.engines.names import EngineName
    from codeclab.codecs.streaming import CodecStream

__all__ = ["Codec", "Codes"]


class Codec(nn.Module):
    """Audio to codes and back.

    Args:
        encoder: encoder, from audio to a latent.
        quantizer: quantizer, from a latent to codes and back.
        decoder: decoder, from a latent to audio.
        sample_rate: sampling rate of the audio, Hz.
        bitrates: bitrates offered, kbps; None offers every number of codebooks.
        segment: duration of the segments into which audio is cut, seconds; None codes it whole.
        overlap: share of a segment that overlaps the next, in [0, 1).
        normalize: whether each segment is divided by its level, which is stored with the codes (EnCodec 3.1,
            non-streamable).

    Raises:
        ValueError: the parts do not fit together, or a bitrate cannot be reached; the message lists those that can.
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
        check_parts(encoder, quantizer, decoder)
        if sample_rate <= 0:
            raise ValueError(f"sample_rate is {sample_rate} Hz; it should be positive")
        if segment is not None and segment <= 0 or not 0 <= overlap < 1:
            raise ValueError(
                f"segment is {segment} s and overlap {overlap}; segment should be positive and overlap in [0, 1)"
            )
        if segment is not None and segment * sample_rate < 1:
            raise ValueError(f"segment is {segment} s, less than a sample at {sample_rate} Hz; it should be longer")
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self.sample_rate = sample_rate
        self.segment = segment
        self.overlap = overlap
        self.normalize = normalize
        self.bf16 = False
        self._engine: Engine | None = None
        self.chosen_bitrates = sorted(float(rate) for rate in bitrates) if bitrates else None
        # Codebooks by nominal kbps, where a loaded folder misstates them; not saved.
        self.rate_names: dict[float, int] = {}
        reachable = self._reachable()
        for rate in self.chosen_bitrates or []:
            if not is_among(rate, reachable):
                raise RateError(f"{rate:g} kbps cannot be reached; these parts give {listed_rates(reachable)} kbps")

    def _reachable(self) -> list[float]:
        return [self.bitrate_of(n) for n in self.quantizer.offered_n_codebooks]

    @property
    def bitrates(self) -> list[float]:
        """Bitrates offered, kbps, ascending: the chosen, or all that the parts reach. A learnt rate is measured."""
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
        """The kbps of a number of codebooks: nominal, or for a learnt rate the result of ``measure_rate``."""
        return self.quantizer.bits_per_frame(n_codebooks) * self.frame_rate / 1000

    def n_codebooks_for(self, bitrate: float) -> int:
        """The number of codebooks of a bitrate in kbps.

        Raises:
            RateError: the codec does not offer the bitrate (within 1 %); the message lists those offered.
        """
        if isinstance(bitrate, bool) or not isinstance(bitrate, Real):
            raise RateError(
                f"bitrate is {bitrate!r}, a {type(bitrate).__name__}; it should be a number of kbps, as "
                f"{self.bitrates[0]:.4g}; the codec offers {listed_rates(self.bitrates)}"
            )
        if not is_among(bitrate, self.bitrates):
            if bitrate in self.rate_names:
                return self.rate_names[bitrate]
            raise RateError(f"the codec does not offer {bitrate:g} kbps; it offers {listed_rates(self.bitrates)} kbps")
        return min(self.quantizer.offered_n_codebooks, key=lambda n: abs(self.bitrate_of(n) - bitrate))

    def choose_codebooks(self, bitrate: float | None = None, n_codebooks: int | None = None) -> int:
        """The number of codebooks for a bitrate in kbps or for a number; by default that of the highest bitrate.

        Raises:
            ValueError: both are given, or the codec does not offer the value.
        """
        if bitrate is not None and n_codebooks is not None:
            raise ValueError("give a bitrate or n_codebooks, not both")
        if n_codebooks is not None:
            return self.quantizer.check_n_codebooks(n_codebooks)
        return self.n_codebooks_for(self.bitrates[-1] if bitrate is None else bitrate)

    def forward(
        self, audio: Tensor, n_codebooks: int | Tensor | None = None, quantize: bool = True
    ) -> tuple[Tensor, Quantized]:
        """The training pass over whole excerpts, not cut into segments.

        Args:
            audio: audio ``[B, C, N]``.
            n_codebooks: number of codebooks, None (all), one number for the batch, or ``int64 [B]``.
            quantize: whether the latent is quantized; False decodes the latent itself.

        Returns:
            decoded audio ``[B, C, N]``, and the quantizer's output.

        Raises:
            NotATensorError: ``audio`` is not a tensor.
            ValueError: the codec was cast, as by ``half()``.
        """
        require_tensor(audio, "audio", "[B, C, N]")
        check_float32(self)
        level = self._level(audio) if self.normalize else None
        latent = self.encoder(audio if level is None else audio / level)
        quantized = self.quantizer(latent, n_codebooks) if quantize else unquantized(latent)
        decoded = same_length(self.decoder(quantized.latent), audio.shape[-1])
        return (decoded if level is None else decoded * level), quantized

    @torch.no_grad()
    def encode(
        self,
        audio: AudioLike,
        bitrate: float | None = None,
        n_codebooks: int | None = None,
        sample_rate: int | None = None,
    ) -> Codes:
        """Audio to codes.

        Args:
            audio: tensor ``[B, C, N]`` of any floating-point type, full scale 1; NumPy array ``[N]``, ``[C, N]`` or
                ``[B, C, N]``; or path of an audio file, whose channels are mixed or repeated to the codec's.
            bitrate: bitrate in kbps, one of ``bitrates`` within 1 %; None takes the highest.
            n_codebooks: number of codebooks, as an alternative to a bitrate.
            sample_rate: sampling rate of a tensor or an array, Hz; None takes the codec's. Audio of another rate is
                resampled, with a ``ResampledWarning``.

        Raises:
            ValueError: the audio has a wrong shape, type or number of channels, is empty or not finite, or the bitrate
                is not offered.
        """
        from codeclab.codecs.blocks import encode_recording

        check_float32(self)
        waveform = codec_audio(audio, sample_rate, self.sample_rate, self.channels)
        count = self.choose_codebooks(bitrate, n_codebooks)
        waveform = waveform.to(next(self.parameters()))
        codes = encode_recording(self, waveform, count)
        codes.bitrate = self.bitrate_of_codes(codes)
        return codes

    def to_bf16(self) -> "Codec":
        """Compute encoder and decoder in bfloat16 when coding; returns the codec.

        Weights, the quantizer's arithmetic and spectra stay float32. Training is not affected; its precision is the
        trainer's. Some codes differ from those in float32, and decoded audio differs by about -40 dB.
        """
        if self._engine is not None:
            raise ValueError("an engine runs this codec, in float32; only torch computes in bfloat16")
        self.bf16 = True
        return self

    def to_engine(self, name: "EngineName") -> "Codec":
        """Compute encoder and decoder with another engine when coding, on the CPU; returns the codec.

        The graph of encoder or decoder is created at the first use, with its weights and torch's number of threads,
        which takes up to a minute. Torch computes the quantizer and recurrent layers. Some codes differ from torch's,
        because sums are added up in another order.

        Args:
            name: name of the engine, ``onnxruntime`` or ``openvino``.

        Raises:
            ValueError: the engine is not installed, or the codec is on a GPU or in bfloat16.
        """
        # Imported here, because the engines import this module.
        self._engine = import_module("codeclab.codecs.engines.engine").Engine(self, name)
        return self

    def end(self, name: Literal["encoder", "decoder"]) -> nn.Module:
        """The encoder or the decoder for coding: the part itself, or on an engine after ``to_engine``."""
        part = self.encoder if name == "encoder" else self.decoder
        return part if self._engine is None else self._engine.end(part)

    def networks(self) -> AbstractContextManager[None]:
        """The context in which encoder and decoder are called when coding: bfloat16 after ``to_bf16``."""
        return torch.autocast(next(self.parameters()).device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def encode_pieces(self, pieces: Tensor, n_codebooks: int) -> tuple[Tensor, Tensor | None]:
        """Whole segments ``[B, C, N]`` to codes ``[B, K, T]`` and, if the codec normalizes, levels ``[B, 1, 1]``."""
        level = self._level(pieces) if self.normalize else None
        with self.networks():
            latent = pushed_whole(self.end("encoder"), pieces if level is None else pieces / level)
        return self.quantizer.encode(latent.contiguous(), n_codebooks), level

    @torch.no_grad()
    def decode(self, codes: Codes) -> Tensor:
        """Codes to audio ``[B, C, N]`` of exactly the original's length.

        Raises:
            ValueError: the codes are of a codec of another sampling rate, only one of the two has levels, or the codes
                are no integer tensors, or more or fewer than their ``length`` takes.
        """
        from codeclab.codecs.blocks import decode_blocks

        check_float32(self)
        codes = checked(codes, self)
        check_length(codes, self)
        return torch.cat(list(decode_blocks(self, iter([codes]))), dim=-1)

    def decode_pieces(self, codes: Tensor, levels: Tensor | None) -> Tensor:
        """Codes ``[B, K, T]`` of whole segments, and their levels ``[B, 1, 1]`` or None, to audio ``[B, C, N]``."""
        latent = self.quantizer.decode(codes)
        with self.networks():
            decoded = pushed_whole(self.end("decoder"), latent).to(latent)
        return decoded if levels is None else decoded * levels

    def stream(
        self, bitrate: float | None = None, n_codebooks: int | None = None, batch: int = 1, lookahead: bool = False
    ) -> "CodecStream":
        """An encoder and a decoder for a stream of audio in pieces of any length.

        The result is that of the whole file.

        Call ``encoder, decoder = codec.stream(6.0)``, then ``decoder.push(encoder.push(audio))`` for each piece
        ``[B, C, n]``, and at the end ``decoder.push(encoder.flush())`` and ``decoder.flush()``. The two hold the state
        of one recording; each recording needs a new stream. ``codeclab.codecs.latency`` computes the latency.

        Args:
            bitrate: bitrate in kbps, one of ``bitrates`` within 1 %; None takes the highest.
            n_codebooks: number of codebooks, as an alternative to a bitrate.
            batch: number of recordings that are streamed in parallel, ``B``.
            lookahead: whether a codec that is not causal may lag by its lookahead; otherwise it is refused.

        Raises:
            NotStreamableError: the codec is not causal, or needs whole recordings; the message says why.
            ValueError: the bitrate is not offered.
        """
        from codeclab.codecs.streaming import open_stream

        return open_stream(self, self.choose_codebooks(bitrate, n_codebooks), batch, lookahead)

    def measure_rate(self, clips: Iterable[Tensor]) -> float:
        """The mean kbps of the codes of some clips, over all frames.

        If a learnt prior determines the cost of codes, the codec offers this bitrate from then on, and saves it.

        Args:
            clips: clips ``[B, C, N]``, as for ``encode``.

        Raises:
            ValueError: there are no clips.
        """
        bits = mean_bits(self.quantizer, (self.encode(clip).segments for clip in clips))
        if self.quantizer.log_prior() is not None:
            self.quantizer.measured_bits = bits
        return bits * self.frame_rate / 1000

    def save(self, directory: Path | str, half: bool = False) -> None:
        """Write ``config.json`` and ``model.safetensors`` (weight norm folded), both atomically.

        Args:
            directory: folder of both files, created if missing.
            half: whether weights are written as float16; a loaded codec computes in float32 with the rounded weights.
        """
        from codeclab.codecs.io.folder import save

        save(self, Path(directory), half)

    @classmethod
    def from_pretrained(
        cls, path: Path | str, parts: Sequence[type] = (), for_training: bool = False, run_code: bool = False
    ) -> "Codec":
        """Load a codec.

        On Linux, a process that loads one to code with it keeps freed memory from then on, which makes coding faster.

        Args:
            path: folder of ``save``, of a run, or of ``transformers``' EncodecModel or DacModel; file released by the
                authors of EnCodec (``….th``) or of DAC (``weights.pth``); ``box`` for the built-in codec; or, where no
                such path exists, a hub id (``facebook/encodec_24khz``), which is downloaded unless it is in the hub's
                cache.
            parts: classes of the user's own parts, if the codec has any.
            for_training: whether weight norm is restored, which saving folds into the weights.
            run_code: whether the Python files of the run's own parts (``imports/``) are imported, even if they were
                never given to ``--import`` on this machine. This runs code that came with the run.

        Raises:
            ValueError: there is no codec, or it cannot be loaded; the message names the difference.
        """
        from codeclab.codecs.io.folder import load
        from codeclab.codecs.io.parts import UnknownPartError

        try:
            return load(path, parts, for_training)
        except UnknownPartError:
            # Python files belong to the experiments, which import this module.
            if not import_module("codeclab.experiments.config.own_code").import_from(path, run_code):
                raise
        return load(path, parts, for_training)

    @classmethod
    def from_recipe(cls, name: str, scale: str | None = None) -> "Codec":
        """An untrained codec.

        Args:
            name: name of a recipe, or path of a YAML file.
            scale: name of the scale, ``laptop``, ``mini``, ``lab`` or ``paper``; None keeps the recipe's own sizes.

        Raises:
            ValueError: there is no such recipe or scale; the message lists them.
        """
        # Recipes belong to the experiments, which import this module.
        return import_module("codeclab.experiments.config.recipes").codec_from_recipe(name, scale)

    def _level(self, audio: Tensor) -> Tensor:
        """The level of each item, ``[B, 1, 1]``: the rms over time of the mean over channels, as released."""
        return audio.mean(dim=1, keepdim=True).square().mean(dim=2, keepdim=True).sqrt() + 1e-8

    def bitrate_of_codes(self, codes: Codes) -> float:
        """The kbps of codes: nominal, or for a learnt rate the cost of these codes."""
        if not self.quantizer.learns_rate:
            return self.bitrate_of(codes.segments[0].shape[1])
        return mean_bits(self.quantizer, [codes.segments]) * self.frame_rate / 1000

    @property
    def segments(self) -> Segments | None:
        """The segments into which audio is cut; None if it is coded whole."""
        return None if self.segment is None else Segments.of(self.segment, self.overlap, self.sample_rate)

    def spans(self, length: int) -> Iterator[tuple[int, int]]:
        """The first sample of each segment of audio of ``length`` samples, and the sample after its last one."""
        return iter([(0, length)]) if self.segments is None else self.segments.spans(length)

    def listen(self, audio: AudioLike, bitrate: float | None = None, sample_rate: int | None = None) -> Card:
        """The codec's card for a notebook, with players for some audio and for its reconstruction.

        Args:
            audio: audio as for ``encode``; the first item of a batch.
            bitrate: bitrate in kbps; None takes the highest.
            sample_rate: sampling rate of a tensor or an array, Hz; None takes the codec's.
        """
        waveform = codec_audio(audio, sample_rate, self.sample_rate, self.channels)[:1]
        codes = self.encode(waveform, bitrate)
        return card(self, {"original": waveform[0], f"{codes.bitrate:.4g} kbps": self.decode(codes)[0]})

    def __repr__(self) -> str:
        return one_line(self)

    def _repr_html_(self) -> str:
        return card(self)._repr_html_()
