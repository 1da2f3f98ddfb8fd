"""Messages say "1 file" and "2 files": every number of things in one is written by ``counted``."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeclab.codecs.wording import by_number, counted, duration, first_line, named_line

ROOT = Path(__file__).parents[1]
ROOMS = ("quantizers", "codecs", "discriminators", "benchmarks", "experiments")
THINGS = [
    "batches",
    "bitrates",
    "bytes",
    "channels",
    "clips",
    "codebooks",
    "conditions",
    "cores",
    "devices",
    "draws",
    "entries",
    "excerpts",
    "files",
    "frames",
    "GPUs",
    "items",
    "levels",
    "lines",
    "listeners",
    "metrics",
    "numbers",
    "pages",
    "parameters",
    "processes",
    "ratings",
    "recordings",
    "responses",
    "rows",
    "runs",
    "samples",
    "seeds",
    "segments",
    "sequences",
    "steps",
    "stimuli",
    "systems",
    "tensors",
    "values",
    "weights",
    "workers",
]
NEVER_ONE = {
    "quantizers/checks.py": "codebooks",  # more than there are, or none
    "quantizers/finite_scalar.py": "levels",  # the largest, of too many
    "codecs/card.py": "channels frames",  # one channel is "mono"; a rate
    "codecs/codes.py": "segments",  # of one there is no such message
    "codecs/entropy/ecdc.py": "bytes entries",  # too long; a codebook's
    "codecs/io/encodec.py": "channels entries",  # a layer's; a codebook's
    "codecs/io/transformers_export.py": "frames",  # a second
    "codecs/layers/stft.py": "samples",  # with "are too few"
    "codecs/streaming.py": "draws",  # a verb
    "benchmarks/listening/ratings.py": "stimuli",  # of a page
    "benchmarks/listening/results.py": "ratings",  # the papers'
    "benchmarks/listening/server.py": "bytes",  # the most
    "experiments/cli/export.py": "channels",  # one channel is "mono"
    "experiments/data/excerpts.py": "draws excerpts devices",  # as many as are tried; more than one
    "experiments/data/segments.py": "clips draws",  # a verb; as many as are tried
    "experiments/listen/write.py": "systems stimuli pages",  # more than a page holds
    "experiments/runner/make_table.py": "seeds",  # more than one
    "experiments/runner/plan.py": "seeds rows",  # more than one
    "experiments/runs/measure/compare.py": "clips",  # of a split
    "experiments/runs/dry_run.py": "parameters frames ensembles",  # a part's; a rate; more than one
    "experiments/runs/progress.py": "batches",  # a rate
}
"""Where a number stands before a plural, and cannot be one."""


def bare_plurals(file: Path) -> Iterator[str]:
    """Plurals that follow a number in a text without ``counted``."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    word = re.match(r" ([A-Za-z]+)\b", str(text.value))
                    if word and word[1] in THINGS:
                        yield word[1]


def test_numbers_of_things_in_messages_are_counted() -> None:
    bare_counts = {}
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            if bare := set(bare_plurals(file)) - set(NEVER_ONE.get(name, "").split()):
                bare_counts[name] = bare
    assert not bare_counts, "write these with codeclab.codecs.wording.counted"


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("file",), "0 files"),
        (1, ("file",), "1 file"),
        (1062, ("file",), "1,062 files"),
        (1, ("batch", "batches"), "1 batch"),
        (2, ("batch", "batches"), "2 batches"),
    ],
)
def test_one_thing_is_singular(number: int, words: tuple[str, ...], text: str) -> None:
    assert counted(number, *words) == text


def test_a_verb_goes_with_its_number() -> None:
    assert [by_number(number, "is", "are") for number in (0, 1, 2)] == ["are", "is", "are"]


def test_a_duration_has_its_two_largest_units() -> None:
    durations = {
        **{0: "0 s", 0.52: "0.52 s", 9.96: "10 s", 42.4: "42 s", 59.6: "1 min 00 s", 185: "3 min 05 s"},
        **{3599.6: "1 h 00 min", 7300: "2 h 01 min", 172_799: "47 h 59 min", 273_600: "3 days 4 h"},
    }
    assert {seconds: duration(seconds) for seconds in durations} == durations


@pytest.mark.parametrize(
    ("error", "line", "named"),
    [
        (ValueError("\n  no such file \nnor folder"), "no such file", "ValueError: no such file"),
        (MemoryError(), "MemoryError", "MemoryError"),
        (OSError("  "), "OSError", "OSError"),
    ],
)
def test_the_first_line_of_an_error_is_that_of_its_text_or_else_its_class(
    error: Exception, line: str, named: str
) -> None:
    assert (first_line(error), named_line(error)) == (line, named)
