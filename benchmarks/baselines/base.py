"""The contract that every baseline fulfils."""

from abc import ABC, abstractmethod

from torch import Tensor

from codeclab.codecs.bitrate import same_bitrate
from codeclab.codecs.wording import counted


class NotInstalledError(RuntimeError):
    """A baseline's program or models are not on this machine; the message says how to get them."""


class Baseline(ABC):
    """A codec that is measured and not trained.

    Attributes:
        name: name in tables.
        bitrates: bitrates offered, in kbps; empty where any is taken.
        sample_rate: sampling rate at which it codes, in Hz; None where it follows the audio.
        channels: number of channels it is measured with; None is those of the audio.
    """

    name: str
    bitrates: list[float]
    sample_rate: int | None
    channels: int | None

    @abstractmethod
    def available(self) -> str | None:
        """None if it can be run, else a line that says what is missing and how to get it."""

    @abstractmethod
    def transcode(self, audio: Tensor, sample_rate: int, bitrate: float) -> tuple[Tensor, float]:
        """Encode and decode, aligned to the sample.

        Args:
            audio: samples ``[C, N]`` in [-1, 1].
            sample_rate: sample rate of ``audio`` and of the result in Hz.
            bitrate: requested bitrate in kbps.

        Returns:
            decoded samples ``[C, N]`` and the kbps really used.

        Raises:
            ValueError: the bitrate or the number of channels does not suit it.
            NotInstalledError: its program or models are missing.
            RuntimeError: it failed.
        """


def require(baseline: Baseline, audio: Tensor, bitrate: float, most_channels: int) -> None:
    """Refuse audio or bitrates that a baseline cannot code, and a baseline that is not installed.

    Args:
        baseline: codec that is about to code.
        audio: samples ``[C, N]``.
        bitrate: bitrate in kbps; one of those offered, within 1 %, where the baseline names them.
        most_channels: largest number of channels that the codec takes.

    Raises:
        ValueError: the bitrate is not offered, or there are too many channels.
        NotInstalledError: its program or models are missing.
    """
    if not 1 <= audio.shape[0] <= most_channels:
        raise ValueError(
            f"{baseline.name} codes up to {counted(most_channels, 'channel')}, the audio has {audio.shape[0]}"
        )
    offered_rate(baseline, bitrate)
    if missing := baseline.available():
        raise NotInstalledError(missing)


def offered_rate(baseline: Baseline, bitrate: float) -> float:
    """The baseline's bitrate in kbps within 1 % of the requested one, which is returned if the baseline takes any.

    Raises:
        ValueError: it is not offered.
    """
    if not baseline.bitrates:
        return bitrate
    nearest = min(baseline.bitrates, key=lambda rate: abs(rate - bitrate))
    if not same_bitrate(nearest, bitrate):
        offered = ", ".join(f"{rate:g}" for rate in baseline.bitrates)
        raise ValueError(f"{baseline.name} does not offer {bitrate:g} kbps; it offers {offered} kbps")
    return nearest
