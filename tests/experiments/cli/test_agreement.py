"""``codeclab agreement``: a paper's orderings over several tables."""

from pathlib import Path

import pytest
from pandas import DataFrame

from codeclab.benchmarks.evaluate.statistics import SUMMARY_COLUMNS
from codeclab.benchmarks.tables.agreement import agreement, agreement_over
from codeclab.benchmarks.tables.render import write_table
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Table
from codeclab.experiments.cli.agreement import run


def table(margin: float, **figures: tuple[float, float]) -> Table:
    """Rows of (ours, the paper's) SI-SDR."""
    rows = []
    for name, (ours, theirs) in figures.items():
        summary = DataFrame([("all", 6.0, "si_sdr", ours, 0.1, 9, 0)], columns=SUMMARY_COLUMNS)
        rows.append(RowResult.named(name, summary, published={"si_sdr": theirs}))
    return Table("t", "s", ["si_sdr"], rows, margin={"si_sdr": margin})


FIRST = {"a": (1.0, 5.0), "b": (2.0, 6.0), "c": (3.0, 6.05)}
SECOND = {"a": (9.0, 0.0), "b": (8.0, 1.0)}


def test_pairs_are_within_a_table_and_counted_by_its_own_margin() -> None:
    (result,) = agreement_over([table(0.1, **FIRST), table(0.1, **SECOND)])
    # a < b and a < c of the first, whose b and c lie within the margin; the second is turned. Never across.
    assert (result.concordant, result.pairs, result.margin) == (2, 3, 0.1)
    (other,) = agreement_over([table(0.0, **FIRST), table(0.1, **SECOND)])
    assert (other.concordant, other.pairs, other.margin) == (3, 4, 0.0)
    assert agreement_over([table(0.1, **FIRST)]) == agreement(table(0.1, **FIRST))


def test_the_command_reads_the_folders_of_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(table(0.1, **FIRST), tmp_path / "first")
    write_table(table(0.1, **SECOND), tmp_path / "second")
    folders = [str(tmp_path / name) for name in ("first", "second", "first")]  # one given twice counts once
    assert run("agreement", folders) == 0
    said = "SI-SDR: found 2 of 3 of the paper's orderings by more than 0.1 dB (chance: 1.5).\n"
    assert capsys.readouterr().out == said
    assert run("agreement", [str(tmp_path / "third")]) == 2
    assert "codeclab agreement: " in capsys.readouterr().err
