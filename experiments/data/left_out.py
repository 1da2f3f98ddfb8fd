"""Files of a corpus that a run leaves out: which, why, in which words, and how many are too many."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from codeclab.codecs.wording import counted
from codeclab.experiments.data.recording import SPLITS, Corpus, DataError

DELIBERATE = ("beside the split folders", "split ", "listed twice")
"""Beginnings of reasons that come from the user's layout, not from a file that cannot be used."""

NAMES_IN_LINE = 3
"""Files named in a line."""

NAMES_IN_ERROR = 5


def of_no_use(left_out: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Unusable files among those left out, as (name, reason)."""
    return [(name, reason) for name, reason in left_out if not reason.startswith(DELIBERATE)]


@dataclass
class LeftOut:
    """The files that a run left out, and those it read shorter than they are listed.

    Args:
        files: number of files of the corpus, including those that cannot be used.
        reasons: reason why each was left out, by name.
        shorter: remark on each that is shorter than listed, by name.
    """

    files: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    shorter: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, corpus: Corpus, reasons: Mapping[str, str], shorter: Mapping[str, str] | None = None) -> "LeftOut":
        """Files unusable before the first batch or clip, and those found when they were read (``reasons``, by name)."""
        useless = dict(of_no_use(corpus.skipped))
        files = len(corpus.train) + len(corpus.valid) + len(corpus.test) + len(useless)
        return cls(files, useless | dict(reasons), dict(shorter or {}))

    def joined(self, other: "LeftOut") -> "LeftOut":
        """The files of two runs on one corpus."""
        files = max(self.files, other.files)
        return LeftOut(files, self.reasons | other.reasons, self.shorter | other.shorter)

    @property
    def line(self) -> str:
        """A sentence on the files left out, and those shorter than listed, by name; empty where there are none."""
        sentences = []
        if self.reasons:
            number = f"{len(self.reasons):,} of {counted(self.files, 'file')}"
            sentences.append(f"{number} left out: {listed_reasons(list(self.reasons.items()))}")
        if self.shorter:
            listed = listed_reasons(list(self.shorter.items()))
            sentences.append(f"{counted(len(self.shorter), 'file')} read shorter than listed: {listed}")
        return "; ".join(sentences)


def refuse_too_many(corpus: Corpus, most: float, split: str | None = None) -> None:
    """Refuse a corpus if too many of its files, or of the files of one split, cannot be used.

    One file is never too many, however small the corpus: it is named, counted and left out. For two or more, their
    share counts.

    Args:
        corpus: corpus whose unusable files are counted.
        most: largest share of files that may be unusable, 0 to 1.
        split: split whose share is checked, too; files without a split are not counted there.

    Raises:
        DataError: more cannot be used; the message names some, and the flag that allows them.
    """
    if not 0 <= most <= 1:
        raise DataError(f"max_left_out is {most:g}; it should be a share of the files, from 0 to 1")
    useless = of_no_use(corpus.skipped)
    _refuse_share(useless, LeftOut.of(corpus, {}).files, "file", corpus.name, most)
    if split in SPLITS:
        own = [(name, reason) for name, reason in useless if corpus.lost.get(name) == split]
        _refuse_share(own, len(getattr(corpus, split)) + len(own), f"{split} file", corpus.name, most)


def _refuse_share(useless: Sequence[tuple[str, str]], files: int, kind: str, where: str, most: float) -> None:
    if len(useless) <= 1 or len(useless) / files <= most:
        return
    enough = math.ceil(100 * len(useless) / files) / 100
    raise DataError(
        f"{len(useless):,} of {counted(files, kind)} in {where} cannot be used, more than {100 * most:.3g} %: "
        f"{listed_reasons(useless, NAMES_IN_ERROR)}. One unusable file is tolerated; more than {100 * most:.3g} % is "
        f"an error. --data.max_left_out {enough:g} continues without them"
    )


def listed_reasons(left_out: Sequence[tuple[str, str]], most: int = NAMES_IN_LINE) -> str:
    """Names with their reasons."""
    named = "; ".join(f"{name} ({reason})" for name, reason in left_out[:most])
    return named + (f"; and {len(left_out) - most:,} more" if len(left_out) > most else "")
