"""Rows collected from the stored results of their jobs."""

from dataclasses import replace

from codeclab.benchmarks.tables.grid import main_grid
from codeclab.benchmarks.tables.table import Table
from codeclab.experiments.runner.collect import collect
from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runner.read import read_table


def test_a_row_of_a_codec_with_segments_has_its_true_kbps_beside_the_papers_figures() -> None:
    """Table 5's codec at 48 kHz: its "6 kbps" with overlaps and levels."""
    spec = read_table("encodec_table5")
    spec = replace(spec, columns=["stride"])
    result = [collect(Draft(row), [], spec) for row in spec.rows if row.kind == "recipe"]
    table = Table("t", "", [], result, columns=["stride"])
    assert [row[1].text for row in main_grid(table).rows] == ["6", "6", "6.093 (6 requested)"]
    assert [row[2].text for row in main_grid(table).rows] == ["320"] * 3
