"""MP3 (MPEG-1, 2 and 2.5 layer III), through PyAV's LAME."""

from torch import Tensor

from codeclab.benchmarks.baselines.av_codec import AVCodec
from codeclab.benchmarks.baselines.base import Baseline, require

LAME = AVCodec("libmp3lame", "mp3float", "fltp")

MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MPEG_25 = (8, 16, 24, 32, 40, 48, 56, 64)
BITRATES = {
    **dict.fromkeys((8000, 11025, 12000), MPEG_25),
    **dict.fromkeys((16000, 22050, 24000), MPEG_2),
    **dict.fromkeys((32000, 44100, 48000), MPEG_1),
}
"""Constant bitrates in kbps by sampling rate in Hz: the tables of ISO/IEC 11172-3 and 13818-3, 2.5 as LAME has it."""


class MP3(Baseline):
    """MP3 at any bitrate from 8 to 320 kbps, mono or (joint) stereo.

    A bitrate that the standard has is constant; any other is an average (LAME's ABR). Audio is coded at the next
    sampling rate that has the bitrate, or at the highest below that has it: below 32 kbps that is 24 kHz at most.

    Args:
        channels: channels of the audio it is measured on; None leaves them as they are.

    Raises:
        ValueError: ``channels`` is neither 1 nor 2.
    """

    name = "MP3"
    bitrates: list[float] = []
    sample_rate = None

    def __init__(self, channels: int | None = None) -> None:
        if channels not in (None, 1, 2):
            raise ValueError(f"channels is {channels!r}; MP3 takes 1 or 2")
        self.channels = channels

    def available(self) -> str | None:
        """None, or what PyAV lacks."""
        missing = LAME.missing()
        return missing and f"MP3 needs PyAV with {missing}: pip install --force-reinstall --only-binary av av"

    def transcode(self, audio: Tensor, sample_rate: int, bitrate: float) -> tuple[Tensor, float]:
        """Encode and decode; see ``Baseline``. The kbps are those of the frames, without a file's information frame.

        The delay of LAME's encoder and of a decoder together is 1105 samples at the rate it codes at.
        """
        require(self, audio, bitrate, most_channels=2)
        rate = coding_rate(sample_rate, bitrate)
        options = {"compression_level": "2", "abr": "0" if bitrate in BITRATES[rate] else "1"}
        return LAME.transcode(audio, sample_rate, rate, bitrate, options)


def coding_rate(sample_rate: int, bitrate: float) -> int:
    """Hz at which MP3 codes audio of a sampling rate (Hz) at a bitrate (kbps).

    Raises:
        ValueError: no sampling rate has such a bitrate.
    """
    fitting = [rate for rate, rates in BITRATES.items() if rates[0] <= bitrate <= rates[-1]]
    if not fitting:
        raise ValueError(f"MP3 codes at 8 to 320 kbps, not {bitrate:g}")
    return min((rate for rate in fitting if rate >= sample_rate), default=max(fitting))
