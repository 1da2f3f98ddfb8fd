"""Rows clip by clip: worked by hand, against the interval of the differences, and over seeds."""

from dataclasses import replace

import pandas as pd
import pytest
from scipy.stats import t as student

from codeclab.benchmarks.evaluate.statistics import mean_interval, over_seeds, summarize
from codeclab.benchmarks.tables.grid import further_grids, notes, paired_grids
from codeclab.benchmarks.tables.paired import paired_scores
from codeclab.benchmarks.tables.render import latex, markdown
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Table


def per_file(mel: list[float], si_sdr: list[float], rate: float = 6.0, names: str = "abcdef") -> pd.DataFrame:
    """Scores of as many clips as there are figures, half of them speech."""
    rows = [
        (names[i], "speech" if i % 2 else "music", 3.0, rate, *scores)
        for i, scores in enumerate(zip(mel, si_sdr, strict=True))
    ]
    columns = ["name", "domain", "seconds", "bitrate_kbps", "mel_distance", "si_sdr"]
    return pd.DataFrame(rows, columns=columns)


# Clips differ by whole units, codecs by tenths: side by side the intervals overlap widely.
BASE = per_file([1.0, 2.0, 3.0, 4.0], [0.0, 5.0, -3.0, 9.0])
WORSE = per_file([1.2, 2.1, 3.2, 4.1], [0.0, 5.0, -3.0, 9.0])


def row(name: str, *tables: pd.DataFrame) -> RowResult:
    return RowResult.named(name, over_seeds(tables), per_file=tables, seeds=len(tables))


def test_differences_by_hand() -> None:
    (scores,) = paired_scores(row("Worse", WORSE), row("Base", BASE)).values()
    mel = scores["mel_distance"]
    # 0.2, 0.1, 0.2, 0.1: mean 0.15, deviation 0.1 / sqrt(3).
    assert mel.mean == pytest.approx(0.15)
    assert mel.ci95 == pytest.approx(student.ppf(0.975, 3) * (0.1 / 3**0.5) / 2)
    assert scores["si_sdr"].mean == 0
    side_by_side = summarize(BASE).query("domain == 'all' and metric == 'mel_distance'")["ci95"].item()
    assert mel.ci95 < side_by_side / 20


def test_one_seed_is_the_interval_of_the_differences_on_the_files_that_both_have() -> None:
    first = per_file([1.5, 2.0, float("nan"), 3.0, 2.5], [1.0, 2.0, 3.0, 5.0, 4.0])
    second = per_file([1.0, 2.5, 3.0, 2.0], [0.0, 2.5, 2.0, 4.5], names="abcd")
    (scores,) = paired_scores(row("A", first), row("B", second)).values()
    for metric, score in scores.items():
        both = first.merge(second, on="name")
        expected = mean_interval(both[f"{metric}_x"] - both[f"{metric}_y"])
        assert (score.mean, score.ci95, score.n) == pytest.approx(tuple(expected))
    assert scores["mel_distance"].failed == 1


def test_seeds_are_paired_in_their_order() -> None:
    ours = [per_file([1.2, 2.1, 3.3], [0.0, 1.0, 2.0]), per_file([1.6, 2.2, 3.1], [1.0, 1.0, 2.0])]
    theirs = [per_file([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]), per_file([1.5, 2.0, 3.0], [0.0, 0.0, 0.0])]
    (scores,) = paired_scores(row("A", *ours), row("B", *theirs)).values()
    by_hand = [per_file([0.2, 0.1, 0.3], [0, 1, 2]), per_file([0.1, 0.2, 0.1], [1, 1, 2])]
    expected = over_seeds(by_hand).query("domain == 'all'").set_index("metric")
    for metric, score in scores.items():
        assert score.mean == pytest.approx(expected.loc[metric, "mean"])
        assert score.ci95 == pytest.approx(expected.loc[metric, "ci95"])
    (alone,) = paired_scores(row("A", *ours), row("B", theirs[0])).values()
    assert alone["mel_distance"].mean == pytest.approx(0.2)


def test_only_bitrates_that_are_near_are_compared() -> None:
    several = pd.concat([per_file([1.0, 2.0], [0, 0], rate) for rate in (1.5, 3.0, 6.0)], ignore_index=True)
    learnt = per_file([1.5, 2.4], [0, 0], 2.9)
    result = paired_scores(row("Learnt", learnt), row("Several", several))
    assert list(result) == [2.9]
    assert result[2.9]["mel_distance"].mean == pytest.approx(0.45)
    assert paired_scores(row("Far", per_file([1.0], [0], 4.0)), row("Several", several)) == {}
    assert paired_scores(row("Others", per_file([1.0], [0], names="z")), row("Base", BASE)) == {}
    assert paired_scores(RowResult.named("Failed", error="why"), row("Base", BASE)) == {}


def test_differences_stand_below_the_table_in_bold_where_they_are_clear() -> None:
    rows = [row("Base", BASE), row("Worse & longer", WORSE), RowResult.named("Failed", error="out of memory")]
    table = Table("T", "", ["mel_distance", "si_sdr"], rows, against="Base")
    ((heading, grid),) = paired_grids(table).items()
    assert heading == "Clip by clip against Base"
    ((name, kbps, mel, si_sdr),) = grid.rows
    assert (name.text, kbps.text) == ("Worse & longer", "6")
    assert (mel.text, mel.bold) == ("+0.15 ± 0.09", True)
    assert (si_sdr.text, si_sdr.bold) == ("+0.00 ± 0.00", False)
    assert list(further_grids(table)) == [heading, "music", "speech"]
    assert any(note.startswith(f"{heading}: mean differences") for note in notes(table))
    assert not any("variation between seeds" in note for note in notes(table))
    table.rows[1] = replace(rows[1], parameters=7)  # of any codec whose weights are counted
    assert not any("variation between seeds" in note for note in notes(table))
    table.rows[1] = replace(rows[1], wall_seconds=60.0)  # of one that was trained
    assert any("variation between seeds" in note for note in notes(table))
    text = markdown(table)
    assert text.index(f"### {heading}") < text.index("### music")
    assert "**+0.15 ± 0.09**" in text
    assert r"\textbf{+0.15 $\pm$ 0.09}" in latex(table)
    for other in (None, "Failed", "Nobody"):
        assert paired_grids(Table("T", "", ["mel_distance"], rows, against=other)) == {}
        assert not any("differences" in note for note in notes(Table("T", "", ["mel_distance"], rows, against=other)))
