"""Recipes and rows of tables in a line."""

import pytest

from codeclab.experiments.cli.listing import recipe_summary, row_summary
from codeclab.experiments.config.files import RECIPES, names


def test_each_recipe_has_a_sentence_and_its_figures() -> None:
    for name in names(RECIPES):
        what, figures = recipe_summary(name)
        assert what
        assert "kHz" in figures or "kbps" in figures, name


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"baseline": {"class": "Opus", "rate": 6}}, "baseline: Opus, 6"),
        ({"codec": "box"}, "codec: box"),
        ({"recipe": "dac_44khz"}, "recipe, not trained: dac_44khz"),
        ({"only_published": True}, "the paper's figures only"),
        ({"flags": ["--config", "a b.yaml"]}, "--config 'a b.yaml'"),
    ],
)
def test_a_row_says_how_it_is_made(row: dict, text: str) -> None:
    assert row_summary(row) == text
