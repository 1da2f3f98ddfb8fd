"""Rows collected from the stored results of their jobs."""

import shutil
from dataclasses import replace
from pathlib import Path

import yaml

from codeclab.benchmarks.tables.grid import main_grid
from codeclab.benchmarks.tables.table import Table
from codeclab.experiments.config.files import RECIPES
from codeclab.experiments.runner.collect import collect
from codeclab.experiments.runner.draft import draft_row
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runner.request import TableRequest


def test_a_row_of_a_codec_with_segments_has_its_true_kbps_beside_the_papers_figures() -> None:
    """Table 5's codec at 48 kHz: its "6 kbps" with overlaps and levels."""
    spec = read_table("encodec_table5")
    spec = replace(spec, columns=["stride"])
    request = TableRequest(spec)
    result = [collect(draft_row(row, request), [], spec) for row in spec.rows if row.kind == "recipe"]
    table = Table("t", "", [], result, columns=["stride"])
    assert [row[1].text for row in main_grid(table).rows] == ["6", "6", "6.093 (6 requested)"]
    assert [row[2].text for row in main_grid(table).rows] == ["320"] * 3


def test_a_recipe_that_changes_after_the_draft_changes_no_row(tmp_path: Path) -> None:
    recipe, table = tmp_path / "mine.yaml", tmp_path / "table.yaml"
    shutil.copy(RECIPES / "encodec_24khz.yaml", recipe)
    rows = [{"name": "built", "recipe": str(recipe), "bitrates": [1.5]}, {"name": "none", "recipe": "nowhere.yaml"}]
    table.write_text(yaml.safe_dump({"title": "t", "source": "s", "columns": ["stride"], "rows": rows}))
    spec = read_table(str(table))
    drafts = [draft_row(row, TableRequest(spec)) for row in spec.rows]
    before = collect(drafts[0], [], spec)
    assert before.error is None
    recipe.write_text(recipe.read_text().replace("strides: [2, 4, 5, 8]", "strides: [2, 2, 5, 8]"))
    after = collect(drafts[0], [], spec)
    assert after.summary.equals(before.summary)
    anew = collect(draft_row(spec.rows[0], TableRequest(spec)), [], spec)
    assert not anew.summary.equals(before.summary)
    recipe.unlink()
    assert collect(drafts[0], [], spec).summary.equals(before.summary)
    assert "nowhere.yaml" in str(drafts[1].error)
