"""Audio to packets and back with FFmpeg's codecs (PyAV), without a container."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from codeclab.codecs.resample import resample, same_length

if TYPE_CHECKING:
    import av


@dataclass(frozen=True)
class AVCodec:
    """An encoder and its decoder, by FFmpeg's names.

    Args:
        encoder: name of the encoder, such as "libopus".
        decoder: name of the decoder, such as "libopus".
        sample_format: format of the float samples that the encoder takes: "flt" (interleaved) or "fltp" (planar).
    """

    encoder: str
    decoder: str
    sample_format: str

    def missing(self) -> str | None:
        """The encoder or decoder that PyAV's FFmpeg lacks (without PyAV, the encoder); None if both are there."""
        try:
            import av
            from av.codec.codec import UnknownCodecError
        except ModuleNotFoundError:
            return self.encoder
        try:
            name = self.encoder
            av.Codec(name, "w")
            name = self.decoder
            av.Codec(name, "r")
        except UnknownCodecError:
            return name
        return None

    def transcode(
        self, audio: Tensor, sample_rate: int, coding_rate: int, bitrate: float, options: dict[str, str]
    ) -> tuple[Tensor, float]:
        """Encode and decode; the encoder's delay is taken off, so that output and input are aligned.

        The rate is that of the packets: their bytes over the time that their frames cover. What a container would add
        (Ogg's pages, the information frame in front of an MP3 file) is not in it; frame headers, which MP3's decoder
        cannot do without, are. The packets that flush the encoder count like any other.

        Args:
            audio: samples ``[C, N]``, one or two channels.
            sample_rate: sample rate of ``audio`` and of the result in Hz.
            coding_rate: sample rate of the encoder's input in Hz, one that it takes.
            bitrate: requested bitrate in kbps.
            options: options of the encoder, by FFmpeg's names.

        Returns:
            decoded samples ``[C, N]``, and kbps.
        """
        packets, head, frame = self._encode(resample(audio, sample_rate, coding_rate), coding_rate, bitrate, options)
        delay = -(packets[0].pts or 0)  # FFmpeg times the packets so that the input's first sample is at 0
        decoded, decoded_rate = self._decode(packets, head, audio.shape[0], coding_rate)
        first = round(delay * decoded_rate / coding_rate)
        kbps = 8 * sum(packet.size for packet in packets) / (len(packets) * frame / coding_rate) / 1000
        return same_length(resample(decoded[:, first:], decoded_rate, sample_rate), audio.shape[1]), kbps

    def _encode(
        self, audio: Tensor, sample_rate: int, bitrate: float, options: dict[str, str]
    ) -> tuple[list["av.Packet"], bytes | None, int]:
        import av

        context: Any = av.CodecContext.create(self.encoder, "w")  # its stubs give a video's, too
        context.sample_rate, context.format, context.layout = sample_rate, self.sample_format, _layout(audio.shape[0])
        context.bit_rate, context.time_base, context.options = round(1000 * bitrate), Fraction(1, sample_rate), options
        context.open()
        size = context.frame_size
        packets = []
        for start, piece in enumerate(pad(audio, (0, -audio.shape[1] % size)).split(size, dim=1)):
            samples = piece if self.sample_format == "fltp" else piece.T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(
                samples.contiguous().numpy(), format=self.sample_format, layout=_layout(audio.shape[0])
            )
            frame.sample_rate, frame.pts, frame.time_base = sample_rate, start * size, Fraction(1, sample_rate)
            packets += context.encode(frame)
        packets += context.encode(None)
        return packets, context.extradata, size

    def _decode(
        self, packets: list["av.Packet"], head: bytes | None, channels: int, sample_rate: int
    ) -> tuple[Tensor, int]:
        import av
        from av.codec.context import Flags2

        context: Any = av.CodecContext.create(self.decoder, "r")
        context.sample_rate, context.layout = sample_rate, _layout(channels)
        context.options = {"request_sample_fmt": "flt"}  # libopus would else round to 16 bits
        # Whether a decoder takes the delay off by itself differs between them: none shall.
        context.flags2 |= Flags2.skip_manual
        if head:
            context.extradata = head
        context.open()
        pieces, rate = [], sample_rate
        for packet in [*packets, None]:
            for frame in context.decode(packet):
                samples, rate = torch.from_numpy(frame.to_ndarray()), frame.sample_rate
                pieces.append(samples if frame.format.is_planar else samples.reshape(-1, channels).T)
        return torch.cat(pieces, dim=1), rate


def _layout(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"
