"""What a listening test compares, and how it sounds: reference, anchors, and every system at every bitrate."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from codeclab.benchmarks.clip import Clip
from codeclab.benchmarks.mushra.anchors import LOW, MID, anchor
from codeclab.benchmarks.mushra.design import LOW_ANCHOR, MID_ANCHOR, REFERENCE, SYSTEM, Condition
from codeclab.benchmarks.progress import progress_bar
from codeclab.codecs.codec import Codec
from codeclab.codecs.storage import identity
from codeclab.experiments.mushra.asked import Asked
from codeclab.experiments.mushra.stimuli import Stimuli
from codeclab.experiments.subjects import Subject


def make_conditions(subjects: Sequence[Subject], mid_anchor: bool, folder: Path) -> list[Condition]:
    """The reference, the anchors, and each system at each bitrate.

    Args:
        subjects: the systems.
        mid_anchor: whether there is one of 7 kHz.
        folder: of the test, from which the runs' folders are told.
    """
    conditions = [Condition("Reference", REFERENCE), Condition(f"Anchor, {LOW / 1000:g} kHz", LOW_ANCHOR)]
    conditions += [Condition(f"Anchor, {MID / 1000:g} kHz", MID_ANCHOR)] if mid_anchor else []
    for subject in subjects:
        of: Any = subject.baseline if subject.codec is None else identity(Codec.from_pretrained(subject.codec))
        run = os.path.relpath(subject.source.folder.path, folder) if subject.source else None
        conditions += [
            Condition(f"{subject.name}, {kbps:.4g} kbps", SYSTEM, kbps, Path(run).as_posix() if run else None, of)
            for kbps in subject.rates
        ]
    return conditions


def make_stimuli(pool: Path, clips: Sequence[Clip], subjects: Sequence[Subject], asked: Asked) -> Stimuli:
    """Every clip under every condition, in the order of ``make_conditions``.

    Args:
        pool: where they wait.
        clips: the originals.
        subjects: the systems.
        asked: for the mid anchor and the device.
    """
    device = torch.device(asked.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    stimuli = Stimuli(pool, clips[0].sample_rate)
    cutoffs = (LOW, MID) if asked.mid_anchor else (LOW,)
    for clip in clips:
        stimuli.add(clip.name, 0, clip.audio)
        for place, cutoff in enumerate(cutoffs, 1):
            stimuli.add(clip.name, place, anchor(clip.audio, clip.sample_rate, cutoff))
    first = 1 + len(cutoffs)
    total = len(clips) * sum(len(subject.rates) for subject in subjects)
    with progress_bar("decode", total, True) as advance:
        for subject in subjects:
            places = {kbps: first + number for number, kbps in enumerate(subject.rates)}
            first += len(places)
            for place, kbps, audio in subject.decoded(clips, device):
                stimuli.add(clips[place].name, places[kbps], audio)
                advance()
    return stimuli
