"""Docstrings begin with a sentence or noun phrase, and the entries of their sections have one form.

Entries of ``Args`` and ``Attributes`` are noun phrases that say more than the name; ``Returns`` begins in lower case.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("quantizers", "codecs", "discriminators", "benchmarks", "experiments")
NO_NOUN = re.compile(
    "(says?|is|are|has|have|makes?|returns?|gives?|reads|writes|computes?|compile|uses|allows|adds|holds|print|see|draws"
    "|keeps|lets|does|receives|decides|chooses|calls|finds|turns|knows|passes|prints|applied|called|counted|measured"
    r"|of|in|as|where|how|which|what|that|whose|when|while|because)\b"
)
"""Verbs, participles, conjunctions and prepositions that an entry does not begin with."""

NO_BEGINNING = re.compile(r"(As|With|Of|Where|Which|From|For|And|At|In a|Those)\b")
"""Prepositions, conjunctions and pronouns that leave a docstring without its subject."""

NAMES = re.compile(r"(MOS-LQO|None|NaN)\b")
"""Words that have capitals wherever they stand."""


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Name and first line of each entry of a docstring's ``Args`` and ``Attributes``."""
    for section in re.findall(r"^ *(?:Args|Attributes):\n((?:.+\n?)+)", text, re.M):
        indent = re.match(" *", section)[0]
        yield from re.findall(rf"^{indent}\*{{0,2}}(\w+): (.*)$", section, re.M)


def returned(text: str) -> list[str]:
    """First lines of a docstring's ``Returns`` and ``Yields``."""
    return re.findall(r"^ *(?:Returns|Yields):\n +(\S.*)$", text, re.M)


def docstrings(folder: str) -> Iterator[tuple[Path, str]]:
    """The docstrings of a folder, with their files."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                yield file.relative_to(ROOT), ast.get_docstring(node) or ""


def is_noun_phrase(name: str, text: str) -> bool:
    """Whether a text may describe a name."""
    words = re.findall(r"[\w'`]+", text.lower())
    bare = [word for word in words if word not in ("the", "a", "an", "its")]
    return bool(bare) and not NO_NOUN.match(text) and " ".join(bare) != name.lower().replace("_", " ")


@pytest.mark.parametrize(
    ("name", "text", "good"),
    [
        ("table", "the table.", False),
        ("frame_rate", "a frame rate.", False),
        ("silent", "print nothing.", False),
        ("arguments", "of its constructor.", False),
        ("batch", "counted from 0.", False),
        ("table", "table to print.", True),
        ("silent", "whether nothing is printed.", True),
    ],
)
def test_what_a_noun_phrase_is(name: str, text: str, good: bool) -> None:
    assert is_noun_phrase(name, text) == good


@pytest.mark.parametrize("folder", FOLDERS)
def test_entries_are_noun_phrases(folder: str) -> None:
    wrong = [
        f"{file}: {name}: {text}"
        for file, docstring in docstrings(folder)
        for name, text in entries(docstring)
        if not is_noun_phrase(name, text)
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_begins_without_its_subject(folder: str) -> None:
    assert [f"{file}: {text[:80]}" for file, text in docstrings(folder) if NO_BEGINNING.match(text)] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_returned_begins_in_lower_case(folder: str) -> None:
    wrong = [
        f"{file}: {text}"
        for file, docstring in docstrings(folder)
        for text in returned(docstring)
        if text[0].isupper() and not NAMES.match(text)
    ]
    assert wrong == []
