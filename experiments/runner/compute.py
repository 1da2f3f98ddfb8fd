"""How much audio rows heard and how long that took, beside the paper's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codeclab.codecs.wording import counted, duration

SIZES = ("batches", "batch_size", "seconds")


@dataclass(frozen=True)
class Compute:
    """The size of a training.

    Attributes:
        batches: number of batches.
        batch_size: items in each, over all devices.
        seconds: duration of an item in seconds.
        hardware: hardware in words; empty if unknown.
    """

    batches: int
    batch_size: int
    seconds: float
    hardware: str = ""

    @property
    def hours(self) -> float:
        """Hours of audio that it hears."""
        return self.batches * self.batch_size * self.seconds / 3600

    @property
    def text(self) -> str:
        """The training in words, without its hardware."""
        batches = counted(self.batches, "batch", "batches")
        return f"{batches} of {self.batch_size} x {self.seconds:g} s, {_hours([self.hours])}"


def read_compute(content: Any) -> Compute | None:
    """The paper's training in a table's YAML: ``{batches, batch_size, seconds, hardware}``.

    Raises:
        ValueError: a size is missing or not a positive number, or there is another key.
    """
    if content is None:
        return None
    known = isinstance(content, Mapping) and set(SIZES) <= set(content) <= {*SIZES, "hardware"}
    if not known or not all(isinstance(content[key], int | float) and content[key] > 0 for key in SIZES):
        raise ValueError(
            "'compute' is the paper's training, as in {batches: 600000, batch_size: 64, seconds: 1, hardware: 8 A100 "
            f"GPUs}} (the last may be left out), not {content!r}"
        )
    return Compute(**content)


def describe_compute(
    trained: Sequence[Compute], seconds: Sequence[float], device: str, paper: Compute | None
) -> list[str]:
    """A sentence for under a table; none where no row was trained.

    Args:
        trained: training of each row that was trained.
        seconds: time that these took, by row, as far as it is known, s.
        device: device they ran on.
        paper: the paper's training, where it states one.
    """
    if not trained:
        return []
    alike = trained[0].text if len(set(trained)) == 1 else _hours([compute.hours for compute in trained])
    spent = [duration(value) for value in (min(seconds), max(seconds))] if seconds else []
    time = f", {' to '.join(dict.fromkeys(spent))}" if spent else ""
    sentence = f"Each training: {alike}{time} on {device}"
    if paper is not None:
        sentence += f"; the paper's: {paper.text}{f' on {paper.hardware}' if paper.hardware else ''}"
    return [f"{sentence}."]


def _hours(hours: Sequence[float]) -> str:
    ends = [f"{value:,.0f}" if value >= 10 else f"{value:.2g}" for value in (min(hours), max(hours))]
    return f"{' to '.join(dict.fromkeys(ends))} {'hour' if ends == ['1', '1'] else 'hours'} of audio heard"
