"""A metric of one's own in a table: found in the files that the table names, in its rows' processes, and afterwards."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.tables.record import read_record
from codeclab.experiments.cli import main
from codeclab.experiments.config.own_code import FOLDER, known_code

METRIC = """
import codeclab


@codeclab.metric("Largest sample", higher_is_better=True)
def largest_sample(reference, estimate, sample_rate):
    return float(reference.abs().max())
"""


def forget() -> None:
    METRICS.pop("largest_sample", None)
    sys.modules.pop("largest", None)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A table that is measured and not trained, with a metric of a file that it names."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    (tmp_path / "largest.py").write_text(METRIC)
    audio = tmp_path / "audio" / "test"
    audio.mkdir(parents=True)
    for name in range(2):
        soundfile.write(audio / f"{name}.wav", 0.3 * np.sin(np.arange(8000) * (0.05 + 0.01 * name)), 16000)
    content = {"title": "Own", "sample_rate": 16000, "data": str(audio.parent), "bitrates": [6]}
    content |= {"metrics": ["si_snr", "largest_sample"], "import": [str(tmp_path / "largest.py")]}
    content["rows"] = [
        {"name": "Box", "codec": "box", "published": {"si_snr": 1.0}},
        {"name": "Opus", "baseline": {"part": "Opus"}, "published": {"si_snr": 2.0}},
    ]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    yield tmp_path / "own.yaml"
    forget()


def status(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def make(table: Path, jobs: int = 1) -> Path:
    assert status("table", table, "--runs", table.parent / "runs", "--jobs", jobs, "--workers", 0) == 0
    return table.parent / "runs" / "own-paper"


def test_a_process_of_its_own_knows_it_for_a_row_that_is_not_trained(table: Path) -> None:
    for row in read_record(make(table, jobs=2)).rows:
        assert row.summary is not None
        (largest,) = row.summary.query("metric == 'largest_sample' and domain == 'all'")["mean"]
        assert largest == pytest.approx(0.3, abs=0.01)


def test_rows_that_are_not_trained_have_no_seeds(table: Path) -> None:
    assert status("table", table, "--runs", table.parent / "runs", "--rows", "Opus", "--seeds", 3) == 0
    text = (table.parent / "runs" / "own-paper" / "table.md").read_text()
    assert "measured on " in text
    assert "seeds" not in text


def test_what_reads_the_table_says_what_to_import(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(table)
    forget()
    assert status("agreement", folder) == 2
    assert "metrics that codeclab does not know: largest_sample; --import the file" in capsys.readouterr().err
    assert status("agreement", folder, "--import", table.parent / "largest.py") == 0
    assert "SI-SNR: found " in capsys.readouterr().out


def test_what_reads_the_table_finds_it_in_the_rows_runs(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(table)
    run = read_record(folder).rows[0].origins[0].run
    (run / FOLDER).mkdir()
    shutil.copy(table.parent / "largest.py", run / FOLDER)
    forget()
    assert status("agreement", folder) == 0  # its user has imported the same file before
    forget()
    known_code().unlink()
    assert status("agreement", folder) == 2
    assert "brings code that has not been run here before" in capsys.readouterr().err


def test_a_baseline_that_cannot_be_measured_is_known_before_a_row_is_made(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(table.read_text())
    del content["sample_rate"]
    table.write_text(yaml.safe_dump(content))
    assert status("table", table, "--runs", table.parent / "runs", "--dry-run") == 1
    assert "Opus  cannot be made: Opus: the table needs a 'sample_rate'" in capsys.readouterr().err


@pytest.mark.parametrize("trained", [False, True])
def test_rows_are_measured_again_when_its_file_is_edited(
    table: Path, tiny_row: str, trained: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(table.read_text())
    if trained:
        content = {key: content[key] for key in ("title", "metrics", "import")} | {"rows": [{"name": "Tiny"}]}
        content |= {"base": tiny_row, "scale": "laptop"}
    table.write_text(yaml.safe_dump(content))
    figures = []
    for text in (METRIC, METRIC.replace(".max()", ".max() + 10")):
        forget()
        (table.parent / "largest.py").write_text(text)
        assert status("table", table, "--runs", table.parent / "runs", "--jobs", 1, "--workers", 0) == 0
        said = capsys.readouterr().err
        (record,) = (table.parent / "runs").glob("own-*/table.json")
        rows = read_record(record.parent).rows
        assert rows[0].summary is not None
        figures.append(rows[0].summary.query("metric == 'largest_sample' and domain == 'all'")["mean"].iloc[0])
    assert figures[1] == pytest.approx(figures[0] + 10, abs=1e-4)
    assert ("what is trained stays as it is, and is measured again" in said) == trained
    copies = {copy.read_text() for copy in (table.parent / "runs").glob(f"*/{FOLDER}/largest.py")}
    assert copies == ({text} if trained else set())
