"""Reverberation as EnCodec adds it to its mixtures, and the room responses that it uses."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from codeclab.experiments.data.augmentation import Augmentation
from codeclab.experiments.data.formats import decode, read_header
from codeclab.experiments.data.manifest import walk
from codeclab.experiments.data.reader import resample
from codeclab.experiments.data.recording import DataError, Recording

BLOCK_SECONDS = 0.01

ABOVE_NOISE = 10**0.5
"""A response is used up to where it is 5 dB above its last tenth."""

STEADY = 0.8
"""Its last tenth is noise, which is subtracted, if it has this share of the power of the tenth before."""

FIT_FROM, FIT_TO, LEAST_TO = -5.0, -35.0, -25.0
"""Fitted range of the decay, in dB: T30 of ISO 3382, or T20 if noise allows no more."""

LONGEST_SECONDS = 30.0

CACHED_RESPONSES = 64


def measure_rt60(response: np.ndarray, sample_rate: int) -> float | None:
    """Reverberation time of a room response in seconds, from Schroeder's backward integral of its energy.

    The decay curve's line from -5 to -35 dB (to -25 where noise leaves no more), times 60 dB. The response is
    integrated from its loudest sample to where it sinks into noise; what would have followed there is added from the
    slope of its 10 ms blocks, so that neither noise nor a cut tail bends the curve (ISO 3382-1, Schroeder 1965).

    Args:
        response: float ``[N]``.
        sample_rate: sampling rate in Hz.

    Returns:
        seconds, or None if it fades by less than 25 dB.
    """
    energy = np.square(response[int(np.argmax(np.abs(response))) :], dtype=np.float64)
    block = max(round(BLOCK_SECONDS * sample_rate), 1)
    count = len(energy) // block
    if count < 4:
        return None
    blocks = energy[: count * block].reshape(count, block).mean(axis=1)
    # Noise is what ends level: a tail that still fades is cut, not covered, and nothing is subtracted.
    tenth = max(count // 10, 1)
    last, before = blocks[-tenth:].mean(), blocks[-2 * tenth : -tenth].mean()
    noise = last if last > STEADY * before else 0.0
    # The response ends at the first block that is hardly above that, or above the rounding of 16-bit files.
    low = np.flatnonzero(blocks <= max(ABOVE_NOISE * last, blocks.max() * 1e-12))
    end = int(low[0]) if len(low) else count
    if end < 3:
        return None
    # A line through the levels tells the decay in dB a block, and with it the energy after the end: a geometric series.
    levels = 10 * np.log10(blocks[:end] - noise)
    slope, start = np.polyfit(np.arange(end), levels, 1)
    if slope >= 0:
        return None
    per_block = 10 ** (slope / 10)
    missing = 10 ** ((start + slope * (end - 0.5)) / 10) * block * per_block**0.5 / (1 - per_block)
    # Schroeder's curve: the energy that is still to come after each sample, with that of the missing tail.
    curve = np.cumsum(energy[: end * block][::-1] - noise)[::-1] + missing
    decay = 10 * np.log10(np.maximum(curve / curve[0], 1e-30))
    lowest = FIT_TO if levels[-1] - levels[0] <= FIT_TO else LEAST_TO
    # The direct sound is left out (above FIT_FROM), and so is what the estimate of the tail decides (below `lowest`).
    fitted = np.flatnonzero((decay <= FIT_FROM) & (decay >= lowest))
    if decay[-1] > lowest or len(fitted) < 2:
        return None
    return float(-60 / np.polyfit(fitted / sample_rate, decay[fitted], 1)[0])


@lru_cache(maxsize=4)
def measure_rooms(folder: str) -> dict[Path, float | None]:
    """Measure the room responses below a folder, once in a process.

    Args:
        folder: a folder with audio files of responses, at any depth and rate.

    Returns:
        their reverberation times in seconds, sorted by path; None where one cannot be read, or fades too little.

    Raises:
        DataError: there is no such folder.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"there is no folder of room responses {root}; give one with --data.room_responses")
    return {path: _read_rt60(path) for path in sorted(walk(root))}


def _read_rt60(path: Path) -> float | None:
    try:
        response, rate = _read_response(path)
    except (DataError, OSError):
        return None
    loudest = response[int(np.argmax(np.square(response).sum(axis=1)))]
    return measure_rt60(loudest, rate)


def _read_response(path: Path) -> tuple[np.ndarray, int]:
    header = read_header(path)
    if header.problem:
        raise DataError(f"{path} is {header.problem}")
    seconds = min(header.seconds, LONGEST_SECONDS)
    return decode(path, header.sample_rate, 0, round(seconds * header.sample_rate)), header.sample_rate


@lru_cache(maxsize=CACHED_RESPONSES)
def read_room(path: Path, sample_rate: int) -> Tensor:
    """A room response from its direct sound on, float32 ``[C, N]``, at ``sample_rate`` Hz.

    Raises:
        DataError: its header or its samples are damaged.
        OSError: the file can no longer be opened.
    """
    response, rate = _read_response(path)
    audio = resample(torch.from_numpy(response), rate, sample_rate)
    return audio[:, int(audio.abs().argmax(dim=-1).min()) :]


def put_in_room(audio: Tensor, response: Tensor) -> Tensor:
    """Sound ``[C, N]`` convolved with a room response ``[R, M]``, at its own length and level.

    Channel ``c`` is convolved with the response's channel ``c`` modulo ``R``. The room begins silent, and its
    tail is cut off at the end. A result that would exceed 1 is scaled down to it.
    """
    length = audio.shape[-1]
    response = response[torch.arange(audio.shape[0]) % response.shape[0], :length]
    size = 1 << (length + response.shape[-1] - 1).bit_length()
    spectrum = torch.fft.rfft(audio, size) * torch.fft.rfft(response, size)
    wet = torch.fft.irfft(spectrum, size)[:, :length]
    wet = wet * (audio.square().mean().sqrt() / wet.square().mean().sqrt().clamp_min(1e-12))
    return wet / wet.abs().max().clamp_min(1.0)


class Reverberation(Augmentation):
    """Adds reverberation to some of the items (EnCodec, section 4.1).

    "Finally we add reverberation using room impulse responses provided by the DNS challenge with probability 0.2, and
    RT60 in the range [0.3, 1.3] except for the single-source music samples." It is the mixture that is put into
    one room, after clipped ones are rejected; its level stays. The responses are those of the folder that
    ``data.room_responses`` names, each measured here; without a folder there is no reverberation.

    Args:
        probability: share of the items that get reverberation.
        rt60: shortest and longest reverberation time in seconds.
        music: domains whose single sources stay dry.

    Raises:
        ValueError: the probability is not in [0, 1], or the range is none.
    """

    on_mixture = True

    def __init__(
        self,
        probability: float = 0.2,
        rt60: tuple[float, float] = (0.3, 1.3),
        music: tuple[str, ...] = ("music", "music-like"),
    ) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}; it should be from 0 to 1")
        if not 0 < rt60[0] <= rt60[1]:
            raise ValueError(
                f"rt60 is {list(rt60)}; it should be the shortest and the longest time in seconds, such as [0.3, 1.3]"
            )
        self.probability = probability
        self.rt60 = rt60
        self.music = music
        self._rooms: list[Path] = []

    def prepare(self, room_responses: str | None) -> str:
        """Measure the folder's room responses.

        Args:
            room_responses: the folder; None adds no reverberation.

        Returns:
            a remark for the user.

        Raises:
            DataError: there is no such folder, or no usable response in it.
        """
        self._rooms = []
        if room_responses is None:
            return "no reverberation, as --data.room_responses gives no folder of room responses"
        shortest, longest = self.rt60
        times = measure_rooms(room_responses)
        measured = [time for time in times.values() if time is not None]
        self._rooms = [path for path, time in times.items() if time is not None and shortest <= time <= longest]
        if not self._rooms:
            reason = "none is measurable"
            if measured:
                reason = f"those measured have {min(measured):.2f} to {max(measured):.2f} s"
            raise DataError(
                f"{Path(room_responses).expanduser()}: none of {len(times)} audio files is a room response of RT60 "
                f"{shortest:g} to {longest:g} s ({reason})"
            )
        return (
            f"reverberation with probability {self.probability:g} from {len(self._rooms)} of {len(times)} room "
            f"responses (left out: {len(measured) - len(self._rooms)} with an RT60 outside {shortest:g} to "
            f"{longest:g} s, {len(times) - len(measured)} that cannot be measured)"
        )

    def apply(
        self, audio: Tensor, sample_rate: int, rng: np.random.Generator, recordings: Sequence[Recording]
    ) -> Tensor | None:
        """Reverberate as ``__call__`` does, but leave a single source of music dry."""
        if len(recordings) == 1 and recordings[0].domain in self.music:
            return audio
        return self(audio, sample_rate, rng)

    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor | None:
        """Return the audio in a room, or as it is; None where the room's file can no longer be read."""
        if not self._rooms or rng.random() >= self.probability:
            return audio
        path = self._rooms[int(rng.integers(len(self._rooms)))]
        try:
            return put_in_room(audio, read_room(path, sample_rate))
        except (DataError, OSError):
            return None
