"""Published figures as numbers and as text, with the mark of those that rest on one source."""

import pytest
from pandas import DataFrame

from codeclab.benchmarks.evaluate.evaluation import CODEBOOK_COLUMNS
from codeclab.benchmarks.tables.grid import MARKED, further_grids, notes, published
from codeclab.benchmarks.tables.published import is_single_source, published_number
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Table


@pytest.mark.parametrize(
    ("figure", "number"),
    [
        (1.82, 1.82),
        ("1.82°", 1.82),
        ("-0.02", -0.02),
        ("95.5 ± 1.6", 95.5),
        ("43.7 (40.0 to 47.5)", 43.7),
        ("about 8", None),
        ("8 to 9", None),
        ("3.0 kbps", None),
        (None, None),
    ],
)
def test_the_number_in_a_figure(figure: float | str | None, number: float | None) -> None:
    assert published_number(figure) == number


def test_marks_are_shown_in_the_metrics_own_form_and_explained() -> None:
    assert published("1.80°", "stft_distance") == "1.80°"
    assert published("1.8°", "stft_distance") == "1.80°"
    assert published("0.99°", "bitrate_efficiency") == "99%°"
    assert published("95.5 ± 1.6", "mushra") == "95.5 ± 1.6"
    assert not is_single_source("95.5 ± 1.6")
    for figure, said in ((1.8, False), ("1.8°", True)):
        assert (
            MARKED in notes(Table("t", "s", ["si_sdr"], [RowResult.named("a", published={"si_sdr": figure})]))
        ) == said


def test_entropies_stand_beside_the_papers() -> None:
    def codes(*entropies: float) -> DataFrame:
        lines = [("all", 6.0, str(k), 1024, 0.5, bits, 0.9, 3) for k, bits in enumerate(entropies, start=1)]
        others = [("all", 3.0, "1", 1024, 0.5, 1.0, 0.1, 3), ("all", 6.0, "all", 1024, 0.5, 1.0, 0.1, 3)]
        return DataFrame([*others, *lines, ("music", 6.0, "1", 1024, 0.5, 2.0, 0.2, 3)], columns=CODEBOOK_COLUMNS)

    rows = [
        RowResult.named("a", entropies=[9.7, None, 9.9], codebooks=codes(9.5, 8.0)),
        RowResult.named("b", entropies=[9.0]),
        RowResult.named("c"),
    ]
    (grid,) = further_grids(Table("t", "s", ["codebook_usage"], rows)).values()
    assert grid.headings == ["Codebook", "a", "published", "b", "published"]
    assert [[cell.text for cell in row] for row in grid.rows] == [
        ["1", "9.500", "9.700", "—", "9.000"],
        ["2", "8.000", "—", "—", "—"],
        ["3", "—", "9.900", "—", "—"],
    ]
