"""Opus (RFC 6716), through PyAV's libopus."""

from torch import Tensor

from codeclab.benchmarks.baselines.av_codec import AVCodec
from codeclab.benchmarks.baselines.base import Baseline, require
from codeclab.codecs.wording import counted

LIBOPUS = AVCodec("libopus", "libopus", "flt")
SAMPLE_RATES = (8000, 12000, 16000, 24000, 48000)
LOWEST = 6
HIGHEST_PER_CHANNEL = 256
RATES = {"variable": "on", "constrained": "constrained", "constant": "off"}
"""The encoder's ``vbr`` option by our names, which YAML does not take for booleans."""
APPLICATIONS = ("audio", "voip", "lowdelay")


class Opus(Baseline):
    """Opus at any bitrate from 6 kbps up to 256 kbps a channel, mono or stereo, in frames of 20 ms.

    Audio is given to the encoder at the next rate it takes (8, 12, 16, 24 or 48 kHz), with its full complexity; Opus
    itself chooses the bandwidth and the mode for the bitrate.

    Args:
        rate: "variable", the encoder's default, uses as many bits as a clip needs, and meets the requested bitrate only
            on average over all kinds of sound; "constrained" limits the deviation; "constant" allows none.
        application: mode of the encoder: "audio", "voip" or "lowdelay".
        channels: channels of the audio it is measured on; None leaves them as they are.

    Raises:
        ValueError: an argument is none of these.
    """

    name = "Opus"
    bitrates: list[float] = []
    sample_rate = None

    def __init__(self, rate: str = "variable", application: str = "audio", channels: int | None = None) -> None:
        if rate not in RATES:
            raise ValueError(f"rate is {rate!r}; Opus takes {', '.join(RATES)}")
        if application not in APPLICATIONS:
            raise ValueError(f"application is {application!r}; Opus takes {', '.join(APPLICATIONS)}")
        if channels not in (None, 1, 2):
            raise ValueError(f"channels is {channels!r}; Opus takes 1 or 2 here")
        self.rate = rate
        self.application = application
        self.channels = channels

    def available(self) -> str | None:
        """None, or what PyAV lacks."""
        missing = LIBOPUS.missing()
        return missing and f"Opus needs PyAV with {missing}: pip install --force-reinstall --only-binary av av"

    def transcode(self, audio: Tensor, sample_rate: int, bitrate: float) -> tuple[Tensor, float]:
        """Encode and decode; see ``Baseline``. The kbps are those of the packets, without a container's share."""
        require(self, audio, bitrate, most_channels=2)
        if not LOWEST <= bitrate <= HIGHEST_PER_CHANNEL * audio.shape[0]:
            highest = HIGHEST_PER_CHANNEL * audio.shape[0]
            raise ValueError(
                f"Opus codes {counted(audio.shape[0], 'channel')} at {LOWEST} to {highest} kbps, not {bitrate:g}"
            )
        coding_rate = min((rate for rate in SAMPLE_RATES if rate >= sample_rate), default=SAMPLE_RATES[-1])
        options = {"vbr": RATES[self.rate], "application": self.application}
        options |= {"compression_level": "10", "frame_duration": "20"}
        return LIBOPUS.transcode(audio, sample_rate, coding_rate, bitrate, options)
