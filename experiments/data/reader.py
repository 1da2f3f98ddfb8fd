"""Excerpts of audio files, read by seeking, at any sampling rate and number of channels."""

from dataclasses import replace
from functools import lru_cache
from math import ceil, gcd
from pathlib import Path

import torch
from torch import Tensor
from torchaudio.transforms import Resample

from codeclab.codecs.resample import MAX_PHASES, resample_polyphase
from codeclab.experiments.data.formats import SLACK, RateChangedError, decode, measure_header
from codeclab.experiments.data.once import warn_once
from codeclab.experiments.data.recording import DataError, Recording

FILTER_ZEROS = 24
ROLLOFF = 0.945

ROUNDING = 0.001
"""Seconds by which a manifest's milliseconds may differ from the file."""


def read_excerpt(recording: Recording, start_seconds: float, seconds: float, sample_rate: int, channels: int) -> Tensor:
    """Read part of a recording without decoding the rest of its file, and add what is mixed into it.

    The excerpt equals the same samples of the whole file after resampling: it is read with a margin for
    the filter, from a place where input and output samples coincide. What lies beyond a recording's end is zero.

    Args:
        recording: the file, or a segment of it.
        start_seconds: beginning of the excerpt within the recording, s; it is rounded to an output sample.
        seconds: length of the excerpt.
        sample_rate: sampling rate of the result in Hz.
        channels: channels of the result; see ``convert_channels``.

    Returns:
        float32 ``[C, round(seconds * sample_rate)]``.

    Raises:
        ShorterError: the file ends before the excerpt does, and should not.
        DataError: the start is negative, or the file cannot be read or holds samples that are no numbers.
    """
    if start_seconds < 0:
        raise DataError(f"the start of an excerpt is {start_seconds} s; it should be at least 0")
    audio = _read_file(recording, start_seconds, seconds, sample_rate, channels, is_mixed=False)
    if recording.gain_db:
        audio = audio * 10 ** (recording.gain_db / 20)
    if (other := recording.mixed) is not None:
        added = _read_file(other, start_seconds, seconds, sample_rate, channels, is_mixed=True)
        audio = audio + added * 10 ** (other.gain_db / 20)
    return audio


def _read_file(
    recording: Recording, start_seconds: float, seconds: float, sample_rate: int, channels: int, is_mixed: bool
) -> Tensor:
    """An excerpt of a recording's own file; what is mixed into another recording has no end but its file's."""
    stored_rate = recording.sample_rate
    start, length = round((recording.start + start_seconds) * sample_rate), round(seconds * sample_rate)
    begins = start / sample_rate
    common = gcd(stored_rate, sample_rate)
    old, new = stored_rate // common, sample_rate // common
    margin = ceil(2 * FILTER_ZEROS * max(old, new) / new / old) if old != new else 0
    first = max(start // new - margin, 0)
    last = -(-(start + length) // new) + margin
    try:
        samples = decode(recording.path, stored_rate, first * old, (last - first) * old)
    except RateChangedError as error:
        warn_once(__name__, f"{error}; it is read at {error.sample_rate} Hz")
        recording = replace(recording, sample_rate=error.sample_rate)
        return _read_file(recording, start_seconds, seconds, sample_rate, channels, is_mixed)
    held = length
    if not is_mixed:
        # Of a segment, nothing that follows it; of a whole file, there is nothing.
        ends = round(recording.start + recording.seconds, 9)
        held = min(length, max(round((ends - begins) * sample_rate), 0))
        there = (first * old + samples.shape[1]) / stored_rate
        if there < min(begins + seconds, ends) - (0.5 / sample_rate if recording.exact else SLACK):
            there = there if samples.shape[1] else _measured_seconds(recording.path)
            raise ShorterError(recording.path, there - recording.start, recording.seconds)
    audio = resample(convert_channels(torch.from_numpy(samples), channels), stored_rate, sample_rate)
    audio = audio[:, start - first * new :][:, :held]
    return torch.nn.functional.pad(audio, (0, length - audio.shape[-1])).contiguous()


class ShorterError(DataError):
    """A file ends too early; an excerpt of it would be padded with zeros that were not recorded.

    Args:
        path: path of the file.
        seconds: its length, or what is left of a segment.
        listed: its expected length.

    Attributes:
        note: remark for the user; empty where only a manifest's milliseconds were rounded.
    """

    def __init__(self, path: Path, seconds: float, listed: float) -> None:
        message = f"ends after {max(seconds, 0.0):.3f} s, but is listed with {listed:.3f} s"
        super().__init__(f"{path} {message}")
        self.seconds = seconds
        self.listed = listed
        self.note = message if listed - seconds > ROUNDING else ""


@lru_cache(maxsize=4096)
def _measured_seconds(path: Path) -> float:
    try:
        return measure_header(path).seconds
    except OSError as error:
        raise DataError(f"{path} can no longer be read: {error}") from error


def as_it_is(recording: Recording, error: ShorterError) -> Recording:
    """A recording with the true length of its file; a warning is given once.

    Raises:
        DataError: there is nothing left of it.
    """
    if error.seconds <= min(SLACK, error.listed / 2):
        raise error
    if error.note:
        warn_once(__name__, f"{error}; it is read as it is")
    return replace(recording, seconds=error.seconds)


def convert_channels(audio: Tensor, channels: int) -> Tensor:
    """Turn ``[C, N]`` into ``[channels, N]``.

    One channel is the mean of all; mono is copied into every channel; of more channels than wanted the
    first ones are kept.
    """
    present = audio.shape[0]
    if present == channels:
        return audio
    if channels == 1:
        return audio.mean(dim=0, keepdim=True)
    return audio[torch.arange(channels) % present]


def resample(audio: Tensor, old: int, new: int) -> Tensor:
    """Resample ``[C, N]`` from ``old`` to ``new`` Hz with a windowed sinc.

    24 zero crossings and a roll-off of 0.945, the values of the resampler (julius) that the released
    code of both EnCodec and DAC reads its data with.
    """
    if old == new:
        return audio
    if new // gcd(old, new) > MAX_PHASES:
        return resample_polyphase(audio, old, new)
    return _resampler(old, new)(audio)


@lru_cache(maxsize=64)
def _resampler(old: int, new: int) -> Resample:
    return Resample(old, new, lowpass_filter_width=FILTER_ZEROS, rolloff=ROLLOFF)
