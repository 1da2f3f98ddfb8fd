"""Reads listeners' files and checks them against the test."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandas import DataFrame

from codeclab.benchmarks.listening.design import ListeningTest
from codeclab.codecs.wording import by_number, counted

FORMAT = "codeclab mushra ratings"
VERSION = 1
FOLDER = "ratings"
LONGEST_NAME = 80
"""Most characters of a listener's name."""

FIELDS = {"format", "version", "test", "listener", "name", "began", "ended", "pages"}
PAGE_FIELDS = {"page", "order", "ratings", "seconds"}
SCORE_COLUMNS = ["listener", "page", "clip", "domain", "condition", "kind", "score"]


@dataclass(frozen=True)
class Ratings:
    """All that one listener rated.

    Args:
        listener: id that the page drew.
        name: name that the listener gave; may be empty.
        pages: rating by page and stimulus, from the test's lowest to 100.
    """

    listener: str
    name: str
    pages: Mapping[str, Mapping[str, float]]

    @property
    def called(self) -> str:
        """Name, if there is one, and id."""
        return f"{self.name} ({self.listener})" if self.name else self.listener


def read_ratings(text: str | bytes, test: ListeningTest) -> Ratings:
    """The ratings in a file.

    Args:
        text: content of the file.
        test: test that was rated.

    Raises:
        ValueError: it is no such file, is of another test, or a page is unknown, incomplete or holds a rating that is
            none; the message says which.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise ValueError(f"it is not a {FORMAT!r} file of version {VERSION}")
    _fields(content, FIELDS, "the file")
    if content["test"] != test.id:
        raise ValueError(f"it is of the test {str(content['test'])[:40]!r}, not of {test.id!r}")
    if not isinstance(content["listener"], str) or not re.fullmatch(r"[0-9a-f]{16}", content["listener"]):
        raise ValueError("'listener' should be 16 hexadecimal digits")
    for key, most in (("name", LONGEST_NAME), ("began", 40), ("ended", 40)):
        if not isinstance(content[key], str) or len(content[key]) > most:
            raise ValueError(f"{key!r} should be text of at most {most} letters")
    pages = content["pages"]
    if not isinstance(pages, list) or not pages:
        raise ValueError("'pages' should list at least one page")
    rated: dict[str, dict[str, float]] = {}
    for number, page in enumerate(pages, 1):
        name, scores = _page(page, test, f"page {number}")
        if name in rated:
            raise ValueError(f"page {number} ({name}) is listed twice")
        rated[name] = scores
    return Ratings(content["listener"], " ".join(content["name"].split()), rated)


def _page(content: Any, test: ListeningTest, called: str) -> tuple[str, dict[str, float]]:
    _fields(content, PAGE_FIELDS, called)
    page = next((page for page in test.pages if page.id == content["page"]), None)
    if page is None:
        raise ValueError(f"{called} is not a page of the test: {str(content['page'])[:40]!r}")
    ratings, order = content["ratings"], content["order"]
    if not isinstance(ratings, dict) or ratings.keys() != page.stimuli.keys():
        raise ValueError(f"{called} ({page.id}) should have a rating for each of its {len(page.stimuli)} stimuli")
    if not isinstance(order, list) or not all(isinstance(one, str) for one in order) or set(order) != ratings.keys():
        raise ValueError(f"{called} ({page.id}): 'order' should list its stimuli as they were shown")
    if not _number(content["seconds"]) or content["seconds"] < 0:
        raise ValueError(f"{called} ({page.id}): 'seconds' should be a number from 0")
    for stimulus, score in ratings.items():
        if not _number(score) or not test.lowest <= score <= 100:
            scale = f"from {test.lowest} to 100"
            raise ValueError(f"{called} ({page.id}): the rating of {stimulus} should be {scale}, not {score!r}")
    return page.id, {stimulus: float(score) for stimulus, score in ratings.items()}


def _fields(content: Any, wanted: set[str], called: str) -> None:
    if not isinstance(content, dict) or content.keys() != wanted:
        actual = ", ".join(sorted(map(str, content)))[:200] if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{called} should have {', '.join(sorted(wanted))}; it has {actual}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def read_folder(folder: Path, test: ListeningTest) -> list[Ratings]:
    """The ratings of all listeners of a test.

    Args:
        folder: folder of the test; the files are in its ``ratings``.
        test: test that was rated.

    Raises:
        ValueError: there is no file, or some are wrong (each is named, with what is wrong), or two of one listener
            differ.
    """
    paths = sorted((folder / FOLDER).glob("*.json"))
    if not paths:
        raise ValueError(
            f"{folder / FOLDER} holds no ratings; put the listeners' files there, or collect them with "
            f"`codeclab mushra serve {folder}`"
        )
    by_listener: dict[str, tuple[Path, Ratings]] = {}
    wrong = []
    for path in paths:
        try:
            ratings = read_ratings(path.read_bytes(), test)
        except ValueError as error:
            wrong.append(f"{path}: {error}")
            continue
        other, same = by_listener.setdefault(ratings.listener, (path, ratings))
        if same != ratings:
            wrong.append(f"{path}: the listener {ratings.listener} is also that of {other.name}, with other ratings")
    if wrong:
        are, them = (by_number(len(wrong), *words) for words in (("is", "are"), ("it", "them")))
        title = f"{len(wrong)} of {counted(len(paths), 'file')} {are} wrong; mend or remove {them}:"
        raise ValueError("\n  ".join([title, *wrong]))
    return [ratings for _, ratings in by_listener.values()]


def scores(ratings: Sequence[Ratings], test: ListeningTest) -> DataFrame:
    """One line for each rating, with its listener, clip and condition.

    Args:
        ratings: ratings of some listeners.
        test: test that they rated.

    Returns:
        columns ``SCORE_COLUMNS``.
    """
    pages = {page.id: page for page in test.pages}
    rows = []
    for listener in ratings:
        for name, rated in listener.pages.items():
            page = pages[name]
            for stimulus, score in rated.items():
                condition = test.conditions[page.stimuli[stimulus]]
                about = (page.id, page.clip, page.domain, condition.name, condition.kind)
                rows.append((listener.listener, *about, score))
    return DataFrame(rows, columns=SCORE_COLUMNS)
