"""The sound of a listening test: every stimulus at one loudness, none clipped."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from codeclab.experiments.data.augmentation import QUIETEST_LUFS, measure_lufs

CEILING = 10 ** (-0.1 / 20)
"""Highest sample of a stimulus: what a browser's resampler adds must fit, too."""


@dataclass(frozen=True)
class Measured:
    """A stimulus as it was made.

    Attributes:
        path: where its samples wait.
        lufs: its loudness.
        peak: its highest sample.
    """

    path: Path
    lufs: float
    peak: float

    @property
    def most(self) -> float:
        """The loudness in LUFS at which its highest sample reaches the ceiling."""
        return self.lufs + 20 * math.log10(CEILING / self.peak) if self.peak > 0 else math.inf


class Stimuli:
    """All stimuli of a test, kept on disk until their common loudness is known.

    Args:
        folder: where they wait; the caller's to remove.
        sample_rate: Hz.
    """

    def __init__(self, folder: Path, sample_rate: int) -> None:
        self.folder = folder
        self.sample_rate = sample_rate
        self.measured: dict[tuple[str, int], Measured] = {}

    def add(self, clip: str, condition: int, audio: Tensor) -> None:
        """Takes a stimulus.

        Args:
            clip: name of its clip.
            condition: its place among the test's.
            audio: samples ``[C, N]``.
        """
        path = self.folder / f"{len(self.measured)}.safetensors"
        samples = audio.detach().cpu().float().contiguous()
        save_file({"audio": samples}, path)
        peak = float(samples.abs().max())
        self.measured[clip, condition] = Measured(path, measure_lufs(samples, self.sample_rate), peak)

    def level(self, wanted: float) -> tuple[float, tuple[str, int] | None]:
        """The common loudness.

        Args:
            wanted: LUFS.

        Returns:
            The highest loudness up to the one wanted at which no stimulus clips, and where that is lower the clip and
            condition that set it.
        """
        audible = {key: one.most for key, one in self.measured.items() if one.lufs >= QUIETEST_LUFS}
        tightest = min(audible, key=audible.__getitem__)
        return (wanted, None) if audible[tightest] >= wanted else (audible[tightest], tightest)

    def at(self, clip: str, condition: int, lufs: float) -> Tensor:
        """A stimulus ``[C, N]`` at a loudness; one too quiet to be measured gets what its reference gets.

        Args:
            clip: name of its clip.
            condition: its place among the test's.
            lufs: the common loudness.
        """
        own = self.measured[clip, condition]
        judged = own if own.lufs >= QUIETEST_LUFS else self.measured[clip, 0]
        audio = load_file(own.path)["audio"] * 10 ** ((lufs - judged.lufs) / 20)
        return torch.clamp(audio, -1, 1)

    def silent(self) -> list[tuple[str, int]]:
        """Clips and conditions of which nothing can be heard."""
        return [key for key, one in self.measured.items() if one.lufs < QUIETEST_LUFS]
