"""The splits of a corpus: files for training, validation and test."""

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from hashlib import sha256

from codeclab.codecs.wording import by_number, counted
from codeclab.experiments.data.recording import SPLITS, Recording

TEST_SHARE = 0.05

VALID_SHARE = 0.05

FLOOR_FROM = 8
"""Size of a domain from which it has at least ``LEAST_TEST`` test files and one validation file."""

LEAST_TEST = 4


def draw_position(seed: int, name: str) -> float:
    """A file's position in [0, 1), which depends only on the seed and its name."""
    digest = sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign_splits(
    recordings: Sequence[Recording], seed: int, known: Mapping[str, str] | None = None, floor: bool = True
) -> list[Recording]:
    """Give every recording without a split one.

    The hash of (seed, name) decides a file's split: 5 % test, 5 % validation, the rest training. Adding files therefore
    moves no other. Segments of one file and links to it go together, wherever they lie. Where some splits are given and
    others are not (a train and a test folder, say), the missing ones are cut from the training files by the same rule.
    Of the splits that are not given, every domain of eight files or more has four test files and one to validate on at
    least, those with the lowest positions. With three files or more no split stays empty: it is given one of the
    largest split's files, the one with the lowest position.

    Args:
        recordings: recordings of the corpus; splits that are given are kept.
        seed: seed of the split, not of the training: runs that are compared must share it.
        known: splits that files had before, by name, which they keep; the others go by their hash alone.
        floor: whether domains have their least numbers; runs that began before there were any have none.
    """
    named = {recording.split for recording in recordings} - {None}
    missing = set(SPLITS) - named
    files = _files(recordings)
    earlier = _first_split(files, [(known or {}).get(recording.name) for recording in recordings])
    given = _first_split(files, [recording.split for recording in recordings])
    assigned = []
    for recording, file in zip(recordings, files, strict=True):
        if known is not None and file in earlier:
            split: str | None = known.get(recording.name, earlier[file])
        else:
            split = recording.split or given.get(file)
            if split is None or (split == "train" and missing):
                drawn = _by_position(draw_position(seed, file))
                split = drawn if split is None or drawn in missing else split
        assigned.append(replace(recording, split=split))
    if known is not None:
        return assigned
    if floor:
        fixed = {file for file, one in zip(files, recordings, strict=True) if one.split not in (None, "train")}
        _raise_to_floor(assigned, files, fixed, missing, seed)
    if "train" in named or any(recording.split is None for recording in recordings):
        donors = [split for split in SPLITS if split == "train" or split in missing]
        _fill_empty(assigned, files, donors, seed)
    return assigned


def _files(recordings: Sequence[Recording]) -> list[str]:
    """The name of each recording's file: its own; of segments and links, that of the recording they are of."""
    # A link and what it links to are one file. Most corpora have no links, and following each path takes time.
    linked = any(os.path.islink(recording.path) for recording in recordings)
    paths = [(os.path.realpath if linked else os.path.normpath)(recording.path) for recording in recordings]
    by_path: dict[str, list[Recording]] = {}
    for recording, path in zip(recordings, paths, strict=True):
        by_path.setdefault(path, []).append(recording)
    names = {
        path: min([one.part_of for one in group if one.part_of] or [one.name for one in group])
        for path, group in by_path.items()
    }
    return [names[path] for path in paths]


def _first_split(files: Sequence[str], splits: Sequence[str | None]) -> dict[str, str]:
    """The split of each file that has one in a part of it; of several, the first of train, valid and test."""
    by_file: dict[str, str] = {}
    for file, split in zip(files, splits, strict=True):
        if split is not None:
            by_file[file] = min(split, by_file.get(file, split), key=SPLITS.index)
    return by_file


def split_remark(listed: Sequence[Recording], assigned: Sequence[Recording]) -> str:
    """A remark on the split that ``assign_splits`` drew for listed recordings; empty if the user gave the split."""
    if all(before.split == after.split for before, after in zip(listed, assigned, strict=True)):
        return ""
    missing = [split for split in SPLITS if split not in {recording.split for recording in listed}]
    counts = {split: sum(recording.split == split for recording in assigned) for split in SPLITS}
    without = sum(recording.split is None for recording in listed)
    why = f"because {without} of {len(listed)} have no split"
    if missing:
        named = " and ".join(filter(None, [", ".join(f"{split}/" for split in missing[:-1]), f"{missing[-1]}/"]))
        why = f"because {named} {by_number(len(missing), 'is', 'are')} missing"
    remark = f"split by file, {why}: " + ", ".join(f"{count} {split}" for split, count in counts.items())
    tested: dict[str, set[str]] = {domain: set() for domain in sorted({recording.domain for recording in assigned})}
    for recording, file in zip(assigned, _files(assigned), strict=True):
        if recording.split == "test":
            tested[recording.domain].add(file)
    few = {domain: len(names) for domain, names in tested.items() if len(names) < LEAST_TEST}
    if few and "test" in missing:
        some = [f"{counted(count, 'file')}{_of(domain)}" for domain, count in few.items() if count]
        verb = by_number(sum(few.values()), "is", "are")
        none = [f"no file{_of(domain)} is left to test on" for domain, count in few.items() if not count]
        lack = [f"{', '.join(some)} to test on {verb} too few for 95 % intervals to be informative"] if some else []
        remark += f"; {', '.join(lack + none)}: put more into a test/ folder beside a train/ folder"
    return remark


def _of(domain: str) -> str:
    return "" if domain == "all" else f" of {domain}"


def _by_position(position: float) -> str:
    if position < TEST_SHARE:
        return "test"
    return "valid" if position < TEST_SHARE + VALID_SHARE else "train"


def _raise_to_floor(
    recordings: list[Recording], files: Sequence[str], fixed: Set[str], missing: Set[str], seed: int
) -> None:
    """Move, in domains of enough files, those of the lowest positions to test and to validation, where not given."""
    by_domain: dict[str, set[str]] = {}
    splits: dict[str, str | None] = {}
    for recording, file in zip(recordings, files, strict=True):
        splits[file] = recording.split
        by_domain.setdefault(recording.domain, set()).update({file} - fixed)
    moved: dict[str, str] = {}
    for _, names in sorted(by_domain.items()):
        if len(names) < FLOOR_FROM:
            continue
        order = sorted(names, key=lambda file: draw_position(seed, file))
        if "test" in missing:
            n_test = max(LEAST_TEST, sum(moved.get(file, splits[file]) == "test" for file in order))
            moved |= dict.fromkeys(order[:n_test], "test")
            order = order[n_test:]
        if "valid" in missing and not any(moved.get(file, splits[file]) == "valid" for file in order):
            moved[order[0]] = "valid"
    _move(recordings, files, moved)


def _fill_empty(recordings: list[Recording], files: Sequence[str], donors: list[str], seed: int) -> None:
    """Move single files into empty splits, from the largest split that may give some and keeps one."""
    for target in SPLITS:
        held = {split: {f for f, r in zip(files, recordings, strict=True) if r.split == split} for split in SPLITS}
        donor = max(donors, key=lambda split: len(held[split]))
        if held[target] or len(held[donor]) < 2:
            continue
        nearest = min(held[donor], key=lambda file: draw_position(seed, file))
        _move(recordings, files, {nearest: target})


def _move(recordings: list[Recording], files: Sequence[str], targets: Mapping[str, str]) -> None:
    """Put all parts of a file into the split of the file."""
    for index, file in enumerate(files):
        if file in targets:
            recordings[index] = replace(recordings[index], split=targets[file])
