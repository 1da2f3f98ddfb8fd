"""A table's own record: what is written is read back, whole, and what cannot be read says what to do."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from codeclab.benchmarks.evaluate.statistics import SUMMARY_COLUMNS
from codeclab.benchmarks.tables.record import FORMAT, TableRecordError, is_table, read_record
from codeclab.benchmarks.tables.render import csv_long, markdown, write_table
from codeclab.benchmarks.tables.row import Figures, Origin, RowResult, RowSpec
from codeclab.benchmarks.tables.table import Table


@pytest.fixture
def table(tmp_path: Path) -> Table:
    lines = [("all", 7.1, "si_sdr", 1 / 3, math.nan, 1, 0), ("music", 7.1, "si_sdr", -0.1, 0.25, 3, 1)]
    spec = RowSpec(
        "Opus, 6",
        flags=[],
        published={"si_sdr": 2.5, "mushra": "80 ± 2"},
        bitrate=6.0,
        label="6 kbps",
        baseline={"part": "Opus"},
        figures=[Figures({"si_sdr": 3.0}, 12.0, domain="speech")],
        entropies=[9.5, None],
    )
    run = tmp_path / "runs" / "opus-1234"
    measured = RowResult(
        spec,
        pd.DataFrame(lines, columns=SUMMARY_COLUMNS),
        requested={7.1: 6.0},
        listened="listening test x, 2 listeners",
        origins=[Origin(run, run / "evaluation")],
    )
    failed = RowResult(RowSpec("MPD", flags=["--config", "dac_44khz"]), error="no such part", wall_seconds=2.5)
    return Table(
        "A | title",
        "a paper",
        ["si_sdr"],
        [measured, failed],
        notes=["one", "two"],
        ranked=True,
        full_size=False,
        columns=["mushra"],
        margin={"si_sdr": 0.1},
    )


def test_what_is_written_is_read_back(table: Table, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "mine-demo"
    write_table(table, folder)
    again = read_record(folder)
    assert markdown(again) == markdown(table)
    assert csv_long(again) == csv_long(table)
    first, second = again.rows
    assert first.spec == table.rows[0].spec
    assert first.summary is not None
    pd.testing.assert_frame_equal(first.summary, table.rows[0].summary, check_exact=True)
    assert list(first.origins) == list(table.rows[0].origins)
    assert (first.requested, first.listened) == ({7.1: 6.0}, "listening test x, 2 listeners")
    assert (second.error, second.summary, second.wall_seconds) == ("no such part", None, 2.5)


def test_the_former_name_of_the_requested_bitrates_is_read_and_warns(table: Table, tmp_path: Path) -> None:
    write_table(table, tmp_path)
    content = json.loads((tmp_path / "table.json").read_text())
    for row in content["rows"]:
        row["asked"] = row.pop("requested")
    (tmp_path / "table.json").write_text(json.dumps(content | {"version": 1}))
    first = read_record(tmp_path).rows[0]
    assert first.requested == {7.1: 6.0}
    with pytest.warns(FutureWarning, match="is now called requested"):
        assert first.asked == first.requested


def test_runs_are_found_where_the_whole_folder_was_moved_to(table: Table, tmp_path: Path) -> None:
    write_table(table, tmp_path / "runs" / "mine-demo")
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    (origin,) = read_record(tmp_path / "elsewhere" / "mine-demo").rows[0].origins
    assert origin == Origin(tmp_path / "elsewhere" / "opus-1234", tmp_path / "elsewhere" / "opus-1234" / "evaluation")


def test_a_folder_of_an_older_version_says_how_to_write_it_anew(table: Table, tmp_path: Path) -> None:
    write_table(table, tmp_path)
    (tmp_path / "table.json").unlink()
    assert is_table(tmp_path)
    with pytest.raises(TableRecordError, match="has no table.json, .* `codeclab table` command writes it again"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, r"is 'codeclab table' of version 3; this codeclab reads 'codeclab table' of version 2"),
        ({"rows": [{}]}, r"is damaged \('spec'\)"),
    ],
)
def test_what_cannot_be_read_is_refused(table: Table, change: dict, message: str, tmp_path: Path) -> None:
    write_table(table, tmp_path)
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["format"] == FORMAT
    (tmp_path / "table.json").write_text(json.dumps(content | change))
    with pytest.raises(TableRecordError, match=message):
        read_record(tmp_path)
