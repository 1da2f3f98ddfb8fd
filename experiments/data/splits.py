"""Which file is for training, which for validation, which for the test."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from codeclab.experiments.data.recording import SPLITS, Recording

TEST_SHARE = 0.05
VALID_SHARE = 0.05

FOLDER_SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
    "eval": "test",
}
"""Folder names, and names in a manifest, that say which split a file belongs to."""


def draw_position(seed: int, name: str) -> float:
    """A file's place in [0, 1), from the seed and its name alone."""
    digest = sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign_splits(recordings: Sequence[Recording], seed: int) -> list[Recording]:
    """Gives every recording without a split one.

    A file goes where the hash of (seed, name) puts it: 5 % test, 5 % validation, the rest training. Adding
    files therefore moves no other. Where some splits are given and others are not (a train and a test
    folder, say), the missing ones are cut from the training files by the same rule. With three files or more no
    split stays empty: it is given one of the largest split's files, the one with the lowest position.

    Args:
        recordings: All of them; splits that are given are kept.
        seed: Of the split, not of the training: runs that are compared must share it.
    """
    named = {recording.split for recording in recordings} - {None}
    missing = set(SPLITS) - named
    assigned = []
    for recording in recordings:
        split = recording.split
        if split is None:
            split = _by_position(draw_position(seed, recording.name))
        elif split == "train" and missing:
            drawn = _by_position(draw_position(seed, recording.name))
            split = drawn if drawn in missing else split
        assigned.append(replace(recording, split=split))
    if "train" in named or any(recording.split is None for recording in recordings):
        donors = [split for split in SPLITS if split == "train" or split in missing]
        _fill_empty(assigned, donors, seed)
    return assigned


def _by_position(position: float) -> str:
    if position < TEST_SHARE:
        return "test"
    return "valid" if position < TEST_SHARE + VALID_SHARE else "train"


def _fill_empty(recordings: list[Recording], donors: list[str], seed: int) -> None:
    """Moves single files into empty splits, from the largest split that may give some and keeps one."""
    for target in SPLITS:
        held = {split: [i for i, r in enumerate(recordings) if r.split == split] for split in SPLITS}
        donor = max(donors, key=lambda split: len(held[split]))
        if held[target] or len(held[donor]) < 2:
            continue
        nearest = min(held[donor], key=lambda i: draw_position(seed, recordings[i].name))
        recordings[nearest] = replace(recordings[nearest], split=target)
