"""Entries of ``Args`` and ``Attributes`` are noun phrases that say more than the name."""

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


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Name and first line of each entry of a docstring's ``Args`` and ``Attributes``."""
    for section in re.findall(r"^ *(?:Args|Attributes):\n((?:.+\n?)+)", text, re.M):
        indent = re.match(" *", section)[0]
        yield from re.findall(rf"^{indent}\*{{0,2}}(\w+): (.*)$", section, re.M)


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
        f"{file.relative_to(ROOT)}: {name}: {text}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        for name, text in entries(ast.get_docstring(node) or "")
        if not is_noun_phrase(name, text)
    ]
    assert wrong == []
