"""``codeclab report``: which runs stand behind a table's rows, what is played, and how large the page may be."""

import html
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from codeclab.benchmarks.evaluate.codes import CodeStatistics
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.statistics import summarize
from codeclab.benchmarks.report.sound import opus
from codeclab.benchmarks.tables.render import write_table
from codeclab.benchmarks.tables.row import Figures, Origin, RowResult
from codeclab.benchmarks.tables.table import Table, lines
from codeclab.codecs.codec import Codec
from codeclab.experiments.cli import report
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.listen import read_sources
from codeclab.experiments.runs.measure.evaluate import data_of
from codeclab.experiments.runs.measure.stamp import Stamp

SETTINGS = "data:\n  folder: null\n  max_test_clips: 3\n  clip_seconds: 0.5\n"
VERSIONS = r'<script type="application/json">(.*?)</script>'


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.from_recipe("encodec_24khz", scale="laptop").eval()


@pytest.fixture
def runs(codec: Codec, tmp_path: Path) -> Path:
    """Two runs of one codec, measured for a table whose row "Deep, odd" is the second; figures made up."""
    few, many = codec.bitrates[0], codec.bitrates[-1]
    evaluations = {}
    for name, score in (("one", 1.5), ("two", 2.5)):
        folder = tmp_path / "runs" / name
        codec.save(folder / "codec")
        (folder / "config.yaml").write_text(SETTINGS)
        (folder / "metrics.csv").write_text("step,train/mel\n1,3.5\n2,2.5\n")
        clips = data_of(folder, None, codec).clips("test")
        per_file = [
            {"name": clip.name, "domain": clip.domain, "seconds": clip.seconds, "bitrate_kbps": rate}
            | {"n_codebooks": codec.n_codebooks_for(rate), "si_snr": score + i, "failures": ""}
            for i, clip in enumerate(clips)
            for rate in (few, many)
        ]
        info = {"metrics": ["si_snr"], "sample_rate": codec.sample_rate}
        codes = CodeStatistics(codec.quantizer.codebook_sizes).table()
        evaluations[name] = Evaluation(pd.DataFrame(per_file), codes, info)
        evaluations[name].save(folder / "tables" / f"mine-{'deep-odd' if name == 'two' else 'plain'}")
    rows = [
        RowResult.named(
            "Deep, odd",
            evaluations["two"].summary,
            figures=[Figures({"si_snr": 7.25}, many, "high")],
            origins=[Origin(tmp_path / "runs" / "two", tmp_path / "runs" / "two" / "tables" / "mine-deep-odd")],
        ),
        RowResult.named("Theirs", figures=[Figures({"si_snr": 3.0, "mushra": "80 ± 2"}, 6.0)]),
    ]
    write_table(Table("A | title", "a paper", ["si_snr"], rows), tmp_path / "runs" / "mine-demo")
    return tmp_path / "runs"


def made(arguments: list[Any], output: Path) -> str:
    assert report.run("report", [*map(str, arguments), "--device", "cpu", "-o", str(output)]) == 0
    return output.read_text(encoding="utf-8")


def test_what_is_said_of_rows_clip_by_clip_is_not_on_the_page(tmp_path: Path) -> None:
    columns = ["name", "domain", "seconds", "bitrate_kbps", "si_snr"]
    scores = [pd.DataFrame([("a", "d", 1.0, 6.0, 1.0 + i), ("b", "d", 1.0, 6.0, 2.0)], columns=columns) for i in (0, 1)]
    rows = [RowResult.named(name, summarize(one), per_file=[one]) for name, one in zip("AB", scores, strict=True)]
    write_table(Table("T", "", ["si_snr"], rows, against="A"), tmp_path)
    assert "Clip by clip against A: " in (tmp_path / "table.md").read_text()
    under = read_sources([tmp_path]).notes
    assert under
    assert not any("Clip by clip" in line for line in under)


def test_a_table_is_read_back_as_it_was_written(runs: Path) -> None:
    sources = read_sources([runs / "mine-demo"])
    table, under = sources.table, sources.notes
    assert table.title == "A | title"
    assert "Published figures: a paper." in under
    assert not table.ranked
    published = [(line.row.name, line.published, line.label) for line in lines(table)]
    assert published == [
        ("Deep, odd", {}, None),
        ("Deep, odd", {"si_snr": 7.25}, "high"),
        ("Theirs", {"si_snr": 3.0, "mushra": "80 ± 2"}, None),
    ]
    first = lines(table)[0].scores["si_snr"]
    assert (first.mean, first.n) == (3.5, 3)  # of 2.5, 3.5 and 4.5
    assert first.ci95 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # Student's t for two degrees of freedom


def test_a_row_brings_its_run_along_and_runs_can_be_added(runs: Path) -> None:
    sources = read_sources([runs / "mine-demo", runs / "two", runs / "one"])
    assert [(source.row, source.folder.path.name) for source in sources.row_sources] == [
        ("Deep, odd", "two"),
        ("one", "one"),
    ]
    assert [row.name for row in sources.table.rows] == ["Deep, odd", "Theirs", "one"]
    alone = read_sources([runs / "one"])
    assert [row.name for row in alone.table.rows] == ["one"]
    assert alone.table.metrics == ["si_snr"]


def test_rows_of_different_clips_are_told_apart(runs: Path, tmp_path: Path) -> None:
    given = [runs / "mine-demo", runs / "one"]
    assert not [note for note in read_sources(given).notes if "clips" in note]
    measured = "Measured on 3 clips of the built-in synthetic corpus at 24 kHz."
    assert read_sources([runs / "one", runs / "two"]).notes[-1] == measured
    folder = runs / "one" / "tables" / "mine-plain"
    evaluation = Evaluation.load(folder)
    fewer = evaluation.per_file[evaluation.per_file["name"] != evaluation.per_file["name"].iloc[0]]
    info = evaluation.info | {"basis": {"folder": "/somewhere/else", "sample_rate": 24000}}
    Evaluation(fewer, evaluation.codebooks, info).save(folder)
    said = (
        "Rows were measured on different clips, or originals of different rates, so that their figures cannot be "
        "compared: 3 clips of the built-in synthetic corpus at 24 kHz (Deep, odd); 2 clips of else at 24 kHz (one). "
        "`codeclab compare` measures runs on the same clips."
    )
    assert said in read_sources(given).notes
    assert said in html.unescape(made(given, tmp_path / "page.html"))
    info["basis"]["sample_rate"] = 48000
    Evaluation(evaluation.per_file, evaluation.codebooks, info).save(folder)
    assert "3 clips of else at 48 kHz (one)" in read_sources(given).notes[-1]


def test_a_run_is_one_row_by_whatever_path_it_is_given(runs: Path) -> None:
    (runs / "link").symlink_to(runs / "one")
    again = [runs / "one", runs / "one" / "codec", runs / "one" / ".." / "one", runs / "link"]
    sources = read_sources(again)
    assert [row.name for row in sources.table.rows] == ["one"]
    assert [source.row for source in sources.row_sources] == ["one"]
    beside = read_sources([runs / "mine-demo", runs / "two" / "codec"])
    assert [row.name for row in beside.table.rows] == ["Deep, odd", "Theirs"]
    with pytest.raises(RecipeError, match="no run and no table is given; a report takes one or more, such as runs/"):
        read_sources([])


def test_a_row_of_several_seeds_has_the_first_run_that_exists_and_each_run_the_tables_own_figures(runs: Path) -> None:
    evaluation = Evaluation.load(runs / "two" / "tables" / "mine-deep-odd")
    origins = [Origin(runs / name, runs / name / "tables" / "of-both") for name in ("gone", "one", "two")]
    for origin in origins[1:]:
        evaluation.save(origin.evaluation)
        evaluation.save(origin.run / "evaluation")
    row = RowResult.named("Both", evaluation.summary, seeds=3, origins=origins)
    write_table(Table("T", "", ["si_snr"], [row]), runs / "both")
    sources = read_sources([runs / "both", runs / "one", runs / "two"])
    assert [(source.row, source.figures) for source in sources.row_sources] == [
        ("Both", runs / "one" / "tables" / "of-both"),
        ("two", runs / "two" / "tables" / "of-both"),
    ]


def test_a_runs_figures_are_those_of_the_table_for_which_it_was_measured_last(runs: Path) -> None:
    tables = runs / "one" / "tables"
    before, last, unfinished = (tables / name for name in ("mine-plain", "a-last", "z-unfinished"))
    stamp = Stamp("of", ["si_snr"], [6.0], None, 24000, [])
    for folder in (last, unfinished):
        Evaluation.load(before).save(folder)
    for age, folder in enumerate((unfinished, last, before)):
        os.utime(folder / "evaluation.json", (1e9 - age, 1e9 - age))
    for folder in (last, before):  # of the older one last, as in a copy
        stamp.write(folder)
    (source,) = read_sources([runs / "one"]).row_sources
    assert source.figures == last
    Stamp.remove(last)  # it is measured again
    (source,) = read_sources([runs / "one"]).row_sources
    assert source.figures == before


def test_every_test_clip_is_played_as_the_original_and_at_each_bitrate(
    runs: Path, codec: Codec, tmp_path: Path
) -> None:
    page = made([runs / "mine-demo"], tmp_path / "r.html")
    clips = data_of(runs / "two", None, codec).clips("test")
    clip_versions = [json.loads(text) for text in re.findall(VERSIONS, page, re.S)]
    assert len(clip_versions) == len(clips) == 3
    for versions, clip in zip(clip_versions, clips, strict=True):
        assert [version["row"] for version in versions] == [None, "Deep, odd", "Deep, odd"]
        assert [version["kbps"] for version in versions[1:]] == [codec.bitrates[0], codec.bitrates[-1]]
        assert len({version["audio"] for version in versions}) == 3
        assert len(versions[0]["audio"]) == len("data:audio/ogg;base64,") + 4 * -(
            -len(opus(clip.audio, clip.sample_rate)) // 3
        )
    assert "train/mel" in page


def test_the_page_keeps_to_its_size_and_says_what_it_left_out(runs: Path, tmp_path: Path) -> None:
    page = made([runs / "one", "--max-mb", 0.2], tmp_path / "small.html")
    assert len(page.encode()) <= 200_000
    assert "test clips are on this page, as many as fit into 0.2 MB" in page
    assert len(re.findall(VERSIONS, page)) < 3
    assert not re.findall(VERSIONS, made([runs / "one", "--clips", 0], tmp_path / "none.html"))


def test_what_cannot_be_shown_is_said_in_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare").mkdir()
    assert report.run("report", [str(tmp_path / "bare")]) == 2
    assert capsys.readouterr().err.strip() == (
        f"codeclab report: {tmp_path / 'bare'} holds no figures; make them with `codeclab evaluate {tmp_path / 'bare'}`"
    )
    assert report.run("report", [str(tmp_path / "nowhere")]) == 2
    assert "there is no " in capsys.readouterr().err
    with pytest.raises(RecipeError, match="both tables"):
        read_sources([runs / "mine-demo", write_again(runs)])
    (runs / "mine-demo" / "table.json").unlink()
    assert report.run("report", [str(runs / "mine-demo")]) == 2
    assert (
        "has no table.json, which names the run behind each row; the same `codeclab table`" in capsys.readouterr().err
    )
    assert report.run("report", [str(runs / "one"), "--max-mb", "0.001"]) == 2
    assert "without any clip; give --max-mb" in capsys.readouterr().err


def write_again(runs: Path) -> Path:
    write_table(Table("Other", "", ["si_snr"], []), runs / "other")
    return runs / "other"
