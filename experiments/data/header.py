"""What an audio file says about itself."""

from dataclasses import dataclass

SILENCE = 1e-4
"""A file or excerpt whose samples never exceed this (-80 dBFS) is called silent."""


@dataclass(frozen=True)
class Header:
    """What a file says about itself.

    Args:
        sample_rate: Hz.
        channels: Number of channels.
        seconds: Duration in seconds.
        problem: Why the file is of no use ("empty", "silent"), or None.
    """

    sample_rate: int
    channels: int
    seconds: float
    problem: str | None = None
