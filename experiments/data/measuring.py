"""What `codeclab data scan` finds out about one file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codeclab.experiments.data.band import is_full_band, measure_band
from codeclab.experiments.data.decode import decode
from codeclab.experiments.data.formats import read_header
from codeclab.experiments.data.recording import DataError

MOST_SECONDS = 60.0
PIECES = 12
"""Of a longer file, so many pieces of five seconds are measured, spread evenly."""


@dataclass(frozen=True)
class Measured:
    """One file's row of a manifest.

    Args:
        sample_rate: Hz, 0 where the file cannot be read; so with what follows.
        channels: Number of channels.
        seconds: Duration in seconds.
        band_hz: Up to where its energy reaches, in Hz.
        full_band: Whether that is the whole band; see `is_full_band`.
        rms_db: Level over all channels in dB relative to full scale.
        peak_db: Highest sample, so too.
        problem: Why the file is of no use ("silent", "empty", "unreadable: ..."); empty where it is.
    """

    sample_rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    band_hz: float = 0.0
    full_band: bool = False
    rms_db: float = 0.0
    peak_db: float = 0.0
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def measure_file(path: Path) -> Measured:
    """Measures a file; what is wrong with it is in the result, never raised.

    Level and band are those of all its samples, or of a minute of a longer file.
    """
    try:
        header = read_header(path)
        if header.problem:
            return Measured(header.sample_rate, header.channels, round(header.seconds, 3), problem=header.problem)
        samples = _read_pieces(path, header.sample_rate, header.seconds)
    except (OSError, DataError) as error:
        return Measured(problem=f"unreadable: {_one_line(error, path)}")
    power = float(np.square(samples, dtype=np.float64).mean()) if samples.size else 0.0
    peak = float(np.abs(samples).max(initial=0.0))
    band = measure_band(samples, header.sample_rate) if samples.size else 0.0
    return Measured(
        header.sample_rate, header.channels, round(header.seconds, 3), round(band),
        is_full_band(band, header.sample_rate), _decibel(power, 10), _decibel(peak, 20),
    )  # fmt: skip


def _read_pieces(path: Path, sample_rate: int, seconds: float) -> np.ndarray:
    if seconds <= MOST_SECONDS:
        return decode(path, sample_rate, 0, round(seconds * sample_rate) + 1)
    length = round(MOST_SECONDS / PIECES * sample_rate)
    room = round(seconds * sample_rate) - length
    starts = [round(index * room / (PIECES - 1)) for index in range(PIECES)]
    return np.concatenate([decode(path, sample_rate, start, length) for start in starts], axis=1)


def _decibel(value: float, factor: int) -> float:
    return round(factor * float(np.log10(max(value, 1e-12))), 2)


def _one_line(error: Exception, path: Path) -> str:
    """The message without the path, so that a manifest says the same wherever the corpus lies."""
    return " ".join(str(error).replace(str(path), path.name).split())
