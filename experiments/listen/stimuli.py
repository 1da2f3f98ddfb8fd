"""The sounds of a listening test: reference, anchors and systems, all at one loudness and without clipping."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.progress import progress_bar
from codeclab.benchmarks.listening.anchors import LOW, MID, anchor
from codeclab.benchmarks.listening.design import LOW_ANCHOR, MID_ANCHOR, REFERENCE, SYSTEM, Condition
from codeclab.codecs.codec import Codec
from codeclab.codecs.device import choose_device
from codeclab.codecs.io.folder import identity
from codeclab.codecs.loudness import QUIETEST_LUFS, measure_lufs
from codeclab.experiments.listen.systems import System

CEILING = 10 ** (-0.1 / 20)
"""Highest sample of a stimulus, which leaves room for the overshoot of a browser's resampler."""


@dataclass(frozen=True)
class StoredStimulus:
    """A stimulus as it was made.

    Attributes:
        path: file of its samples.
        lufs: loudness, LUFS.
        peak: highest absolute sample, full scale 1.
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
        folder: folder for their files; the caller removes it.
        sample_rate: sampling rate of the stimuli, Hz.
    """

    def __init__(self, folder: Path, sample_rate: int) -> None:
        self.folder = folder
        self.sample_rate = sample_rate
        self.measured: dict[tuple[str, int], StoredStimulus] = {}

    def add(self, clip: str, condition: int, audio: Tensor) -> None:
        """Store the samples ``[C, N]`` of a clip under a condition, by its index among the test's."""
        path = self.folder / f"{len(self.measured)}.safetensors"
        samples = audio.detach().cpu().float().contiguous()
        save_file({"audio": samples}, path)
        peak = float(samples.abs().max())
        self.measured[clip, condition] = StoredStimulus(path, measure_lufs(samples, self.sample_rate), peak)

    def level(self, wanted: float) -> tuple[float, tuple[str, int] | None]:
        """The common loudness.

        Args:
            wanted: loudness to reach if no stimulus clips, LUFS.

        Returns:
            the highest loudness up to the one wanted at which no stimulus clips, and where that is lower the clip and
            condition that set it.
        """
        audible = {key: one.most for key, one in self.measured.items() if one.lufs >= QUIETEST_LUFS}
        tightest = min(audible, key=audible.__getitem__)
        return (wanted, None) if audible[tightest] >= wanted else (audible[tightest], tightest)

    def at(self, clip: str, condition: int, lufs: float) -> Tensor:
        """A stimulus ``[C, N]`` at a loudness; one too quiet to be measured gets what its reference gets.

        Args:
            clip: name of its clip.
            condition: index of its condition among the test's.
            lufs: common loudness, LUFS.
        """
        own = self.measured[clip, condition]
        judged = own if own.lufs >= QUIETEST_LUFS else self.measured[clip, 0]
        audio = load_file(own.path)["audio"] * 10 ** ((lufs - judged.lufs) / 20)
        return audio.clamp(-1, 1)

    def silent(self) -> list[tuple[str, int]]:
        """Clips and conditions that are silent."""
        return [key for key, one in self.measured.items() if one.lufs < QUIETEST_LUFS]


def make_conditions(systems: Sequence[System], cutoffs: Sequence[int], folder: Path) -> list[Condition]:
    """The reference, the anchors, and each system at each bitrate.

    Args:
        systems: systems to compare.
        cutoffs: cutoffs of the anchors, Hz.
        folder: folder of the test, to which the paths of runs are relative.
    """
    kinds = {LOW: LOW_ANCHOR, MID: MID_ANCHOR}
    conditions = [Condition("Reference", REFERENCE)]
    conditions += [Condition(f"Anchor, {cutoff / 1000:g} kHz", kinds[cutoff]) for cutoff in cutoffs]
    for system in systems:
        of: Any = system.baseline if system.codec is None else identity(Codec.from_pretrained(system.codec))
        run = Path(os.path.relpath(system.source.folder.path, folder)).as_posix() if system.source else None
        conditions += [Condition(f"{system.name}, {kbps:.4g} kbps", SYSTEM, kbps, run, of) for kbps in system.rates]
    return conditions


def make_stimuli(
    pool: Path, clips: Sequence[Clip], systems: Sequence[System], cutoffs: Sequence[int], device: str | None
) -> Stimuli:
    """Every clip under every condition, in the order of ``make_conditions``, kept in a folder."""
    home = choose_device(device)
    stimuli = Stimuli(pool, clips[0].sample_rate)
    for clip in clips:
        stimuli.add(clip.name, 0, clip.audio)
        for position, cutoff in enumerate(cutoffs, 1):
            stimuli.add(clip.name, position, anchor(clip.audio, clip.sample_rate, cutoff))
    first = 1 + len(cutoffs)
    total = len(clips) * sum(len(system.rates) for system in systems)
    with progress_bar("decode", total, True) as advance:
        for system in systems:
            positions = {kbps: first + number for number, kbps in enumerate(system.rates)}
            first += len(positions)
            for position, kbps, audio in system.decoded(clips, home):
                stimuli.add(clips[position].name, positions[kbps], audio)
                advance()
    return stimuli
