"""The splits of a corpus: files for training, validation and test."""

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from codeclab.codecs.wording import by_number, counted
from codeclab.experiments.data.recording import SPLITS, Recording

TEST_SHARE = 0.05

VALID_SHARE = 0.05

FLOOR_FROM = 8
"""Size of a domain from which it has at least ``LEAST_TEST`` test files and one validation file."""

LEAST_TEST = 4

MOST_NAMES = 5
"""Most speakers or files that a remark names."""


def draw_position(seed: int, name: str) -> float:
    """A file's position in [0, 1), which depends only on the seed and its name."""
    digest = sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign_splits(
    recordings: Sequence[Recording], seed: int, known: Mapping[str, str] | None = None, floor: bool = True
) -> list[Recording]:
    """Give every recording without a split one.

    The hash of (seed, name) decides a file's split: 5 % test, 5 % validation, the rest training. Adding files therefore
    moves no other. Segments of one file, links to it and its known copies go together, wherever they lie, and so do
    the files of one speaker, in domains of three known speakers or more: such a group has one split, by the hash of
    the speaker's name.
    Where some splits are given and others are not (a train and a test folder, say), the missing ones are cut from the
    training files by the same rule. Of the splits that are not given, every domain of eight files or more, in three
    groups or more, has four test files and one to validate on at least, of the groups with the lowest positions. With
    three groups or more no split stays empty: it is given one of the largest split's, with the lowest position.

    Args:
        recordings: recordings of the corpus; splits that are given are kept.
        seed: seed of the split, not of the training: runs that are compared must share it.
        known: splits that files had before, by name, which they keep; the others go by their hash alone.
        floor: whether domains have their least numbers; runs that began before there were any have none.
    """
    named = {recording.split for recording in recordings} - {None}
    missing = set(SPLITS) - named
    files = _files(recordings)
    groups = _groups(recordings, files)
    earlier = _first_split(groups, [(known or {}).get(recording.name) for recording in recordings])
    given = _first_split(groups, [recording.split for recording in recordings])
    assigned = []
    for recording, group in zip(recordings, groups, strict=True):
        if known is not None and group in earlier:
            split: str | None = known.get(recording.name, earlier[group])
        else:
            split = recording.split or given.get(group)
            if split is None or (split == "train" and missing):
                drawn = _by_position(draw_position(seed, group))
                split = drawn if split is None or drawn in missing else split
        assigned.append(replace(recording, split=split))
    if known is not None:
        return assigned
    if floor:
        fixed = {group for group, one in zip(groups, recordings, strict=True) if one.split not in (None, "train")}
        _raise_to_floor(assigned, groups, files, fixed, missing, seed)
    if "train" in named or any(recording.split is None for recording in recordings):
        donors = [split for split in SPLITS if split == "train" or split in missing]
        _fill_empty(assigned, groups, donors, seed)
    return assigned


def _files(recordings: Sequence[Recording]) -> list[str]:
    """The file that each recording is of, the same for its segments, for links to it and for its known copies."""
    # A link and what it links to are one file. Most corpora have no links, and following each path takes time.
    linked = any(os.path.islink(recording.path) for recording in recordings)
    paths = [(os.path.realpath if linked else os.path.normpath)(recording.path) for recording in recordings]
    by_name = dict(zip([recording.name for recording in recordings], paths, strict=True))
    return [by_name.get(one.copy_of, path) for one, path in zip(recordings, paths, strict=True)]


def _groups(recordings: Sequence[Recording], files: Sequence[str]) -> list[str]:
    """The name of each recording's group, which has one split.

    Recordings of one file, of one speaker or cut from one recording are in one group, and so are those that these
    join. Its name is that of its speaker or, without one, of the recording that the others are parts or copies of.
    """
    first: dict[tuple[str, str], int] = {}
    joined = list(range(len(recordings)))

    def root(index: int) -> int:
        while joined[index] != index:
            joined[index] = index = joined[joined[index]]
        return index

    speakers = _speakers(recordings)
    for index, (one, file) in enumerate(zip(recordings, files, strict=True)):
        for label in (("file", file), ("part", one.part_of), ("speaker", speakers[index])):
            if label[1]:
                joined[root(index)] = root(first.setdefault(label, index))
    # Of a group's names, those of speakers come before those of what was cut, and these before those of files.
    names: dict[int, tuple[int, str]] = {}
    for index, (one, speaker) in enumerate(zip(recordings, speakers, strict=True)):
        name = (0, speaker) if speaker else (1, one.part_of) if one.part_of else (2, one.copy_of or one.name)
        names[root(index)] = min(name, names.get(root(index), name))
    return [names[root(index)][1] for index in range(len(recordings))]


def _speakers(recordings: Sequence[Recording]) -> list[str]:
    """The speaker that each recording is grouped by; empty in domains that have too few to be split by them."""
    by_domain: dict[str, set[str]] = {}
    for one in recordings:
        if one.speaker:
            by_domain.setdefault(one.domain, set()).add(one.speaker)
    return [one.speaker if len(by_domain.get(one.domain, ())) >= len(SPLITS) else "" for one in recordings]


def _first_split(groups: Sequence[str], splits: Sequence[str | None]) -> dict[str, str]:
    """The split of each group that has one in a part of it; of several, the first of train, valid and test."""
    by_group: dict[str, str] = {}
    for group, split in zip(groups, splits, strict=True):
        if split is not None:
            by_group[group] = min(split, by_group.get(group, split), key=SPLITS.index)
    return by_group


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
    known = {bool(speaker) for speaker in _speakers(listed)}
    unit = "speaker where known, else by file" if len(known) > 1 else "speaker" if known == {True} else "file"
    remark = f"split by {unit}, {why}: " + ", ".join(f"{count} {split}" for split, count in counts.items())
    tested: dict[str, set[Path]] = {domain: set() for domain in sorted({recording.domain for recording in assigned})}
    for recording in assigned:
        if recording.split == "test" and not recording.copy_of:
            tested[recording.domain].add(recording.path)
    few = {domain: len(names) for domain, names in tested.items() if len(names) < LEAST_TEST}
    if few and "test" in missing:
        some = [f"{counted(count, 'file')}{_of(domain)}" for domain, count in few.items() if count]
        verb = by_number(sum(few.values()), "is", "are")
        none = [f"no file{_of(domain)} is left to test on" for domain, count in few.items() if not count]
        lack = [f"{', '.join(some)} to test on {verb} too few for 95 % intervals to be informative"] if some else []
        remark += f"; {', '.join(lack + none)}: put more into a test/ folder beside a train/ folder"
    return remark


def overlap_remark(assigned: Sequence[Recording]) -> str:
    """A remark on speakers and files that are both trained and tested on; empty if there are none."""
    files = _files(assigned)
    of_files = [(file, one) for file, one in zip(files, assigned, strict=True)]
    of_speakers = [(one.speaker, one) for one in assigned if one.speaker]
    remarks = []
    for kind, labelled in (("file", of_files), ("speaker", of_speakers)):
        trained = {label for label, one in labelled if one.split == "train"}
        tested = {label: one.name for label, one in labelled if one.split == "test"}
        both = sorted(label if kind == "speaker" else tested[label] for label in trained & tested.keys())
        if both:
            verb = by_number(len(both), "is", "are")
            some = f"{', '.join(both[:MOST_NAMES])}{', ...' if len(both) > MOST_NAMES else ''}"
            remarks.append(f"{len(both)} of {counted(len(tested), kind)} to test on {verb} in train, too: {some}")
    return "; ".join(remarks)


def _of(domain: str) -> str:
    return "" if domain == "all" else f" of {domain}"


def _by_position(position: float) -> str:
    if position < TEST_SHARE:
        return "test"
    return "valid" if position < TEST_SHARE + VALID_SHARE else "train"


def _raise_to_floor(
    recordings: list[Recording],
    groups: Sequence[str],
    files: Sequence[str],
    fixed: Set[str],
    missing: Set[str],
    seed: int,
) -> None:
    """Move, in domains of enough files, those of the lowest positions to test and to validation, where not given."""
    by_domain: dict[str, dict[str, set[str]]] = {}
    splits: dict[str, str | None] = {}
    for recording, group, file in zip(recordings, groups, files, strict=True):
        splits[group] = recording.split
        if group not in fixed:
            by_domain.setdefault(recording.domain, {}).setdefault(group, set()).add(file)
    moved: dict[str, str] = {}
    for _, held in sorted(by_domain.items()):
        if sum(len(of_group) for of_group in held.values()) < FLOOR_FROM or len(held) < len(SPLITS):
            continue
        order = sorted(held, key=lambda group: draw_position(seed, group))
        if "test" in missing:
            tested = 0
            # One group to validate on and one to train on are left.
            while len(order) > 2 and (tested < LEAST_TEST or moved.get(order[0], splits[order[0]]) == "test"):
                moved[order[0]] = "test"
                tested += len(held[order.pop(0)])
        if "valid" in missing and not any(moved.get(group, splits[group]) == "valid" for group in order):
            moved[order[0]] = "valid"
    _move(recordings, groups, moved)


def _fill_empty(recordings: list[Recording], groups: Sequence[str], donors: list[str], seed: int) -> None:
    """Move single groups into empty splits, from the largest split that may give some and keeps one."""
    for target in SPLITS:
        held = {split: {g for g, r in zip(groups, recordings, strict=True) if r.split == split} for split in SPLITS}
        donor = max(donors, key=lambda split: len(held[split]))
        if held[target] or len(held[donor]) < 2:
            continue
        nearest = min(held[donor], key=lambda group: draw_position(seed, group))
        _move(recordings, groups, {nearest: target})


def _move(recordings: list[Recording], groups: Sequence[str], targets: Mapping[str, str]) -> None:
    """Put all recordings of a group into the split of the group."""
    for index, group in enumerate(groups):
        if group in targets:
            recordings[index] = replace(recordings[index], split=targets[group])
