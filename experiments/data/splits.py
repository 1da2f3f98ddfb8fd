"""Which files are trained on, which watch the training, and which report results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from codeclab.experiments.data.recording import SPLITS, Recording

TEST_SHARE = 0.05

VALID_SHARE = 0.05

FLOOR_FROM = 8
"""Files of a domain from which on it has ``LEAST_TEST`` test files and one to validate on at least."""

LEAST_TEST = 4


def draw_position(seed: int, name: str) -> float:
    """A file's place in [0, 1), from the seed and its name alone."""
    digest = sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign_splits(
    recordings: Sequence[Recording], seed: int, known: Mapping[str, str] | None = None, floor: bool = True
) -> list[Recording]:
    """Gives every recording without a split one.

    A file goes where the hash of (seed, name) puts it: 5 % test, 5 % validation, the rest training. Adding
    files therefore moves no other. Where some splits are given and others are not (a train and a test
    folder, say), the missing ones are cut from the training files by the same rule. Where none is given, every domain
    of eight files or more has four test files and one to validate on at least, those with the lowest positions. With
    three files or more no split stays empty: it is given one of the largest split's files, the one with the lowest
    position.

    Args:
        recordings: All of them; splits that are given are kept.
        seed: Of the split, not of the training: runs that are compared must share it.
        known: Splits that files had before, by name, which they keep; the others go by their hash alone.
        floor: Whether domains have their least numbers; runs that began before there were any have none.
    """
    named = {recording.split for recording in recordings} - {None}
    missing = set(SPLITS) - named
    assigned = []
    for recording in recordings:
        split = recording.split
        if known is not None and recording.name in known:
            split = known[recording.name]
        elif split is None:
            split = _by_position(draw_position(seed, recording.name))
        elif split == "train" and missing:
            drawn = _by_position(draw_position(seed, recording.name))
            split = drawn if drawn in missing else split
        assigned.append(replace(recording, split=split))
    if known is not None:
        return assigned
    if floor and not named:
        _raise_to_floor(assigned, seed)
    if "train" in named or any(recording.split is None for recording in recordings):
        donors = [split for split in SPLITS if split == "train" or split in missing]
        _fill_empty(assigned, donors, seed)
    return assigned


def split_remark(listed: Sequence[Recording], assigned: Sequence[Recording]) -> str:
    """What the user should know of a split that was drawn, in a line; empty where the user gave it.

    Args:
        listed: The recordings as they were found.
        assigned: As `assign_splits` gave them back.
    """
    if not assigned or any(recording.split is not None for recording in listed):
        return ""
    counts = {split: sum(recording.split == split for recording in assigned) for split in SPLITS}
    said = "split by file, as there are no train, valid and test folders: " + ", ".join(
        f"{count} {split}" for split, count in counts.items()
    )
    tested = {domain: 0 for domain in sorted({recording.domain for recording in assigned})}
    for recording in assigned:
        tested[recording.domain] += recording.split == "test"
    few = [f"{count} of {domain}" for domain, count in tested.items() if count < LEAST_TEST]
    if few:
        said += (
            f"; {', '.join(few)} to test on {'is' if sum(tested.values()) == 1 else 'are'} too few for 95 % intervals "
            "that say much: put more into a test/ folder beside a train/ folder"
        )
    return said


def _by_position(position: float) -> str:
    if position < TEST_SHARE:
        return "test"
    return "valid" if position < TEST_SHARE + VALID_SHARE else "train"


def _raise_to_floor(recordings: list[Recording], seed: int) -> None:
    """Moves, in domains of enough files, the training files of the lowest positions to test and to validation."""
    for domain in {recording.domain for recording in recordings}:
        places = [index for index, recording in enumerate(recordings) if recording.domain == domain]
        if len(places) < FLOOR_FROM:
            continue
        places.sort(key=lambda index: draw_position(seed, recordings[index].name))
        n_test = max(LEAST_TEST, sum(recordings[index].split == "test" for index in places))
        n_valid = max(1, sum(recordings[index].split == "valid" for index in places[n_test:]))
        for rank, index in enumerate(places[: n_test + n_valid]):
            recordings[index] = replace(recordings[index], split="test" if rank < n_test else "valid")


def _fill_empty(recordings: list[Recording], donors: list[str], seed: int) -> None:
    """Moves single files into empty splits, from the largest split that may give some and keeps one."""
    for target in SPLITS:
        held = {split: [i for i, r in enumerate(recordings) if r.split == split] for split in SPLITS}
        donor = max(donors, key=lambda split: len(held[split]))
        if held[target] or len(held[donor]) < 2:
            continue
        nearest = min(held[donor], key=lambda i: draw_position(seed, recordings[i].name))
        recordings[nearest] = replace(recordings[nearest], split=target)
