import builtins
import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.loggers import MetricsCSV, make_loggers


def test_a_metric_seen_later_gets_a_column_and_old_rows_stay(tmp_path: Path) -> None:
    logger = MetricsCSV(tmp_path / "metrics.csv", start=0)
    logger.log_metrics({"a": 1.0}, 1)
    logger.log_metrics({"a": 2.0, "b": 0.125}, 2)
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert list(table.columns) == ["step", "a", "b"]
    assert table["a"].tolist() == [1.0, 2.0]
    assert table["b"].isna().tolist() == [True, False]


def test_a_continued_run_cuts_rows_later_than_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = MetricsCSV(path, start=0)
    for step in (1, 2, 3):
        first.log_metrics({"a": float(step)}, step)
    path.write_text(path.read_text() + "4,")  # killed while it wrote
    again = MetricsCSV(path, start=2)
    again.log_metrics({"a": 30.0, "new": 1.0}, 3)
    table = pd.read_csv(path)
    assert table["step"].tolist() == [1, 2, 3]
    assert table["a"].tolist() == [1.0, 2.0, 30.0]


def test_without_wandb_a_run_logs_to_csv_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "wandb" else find_spec(name, *a))
    plain_import = builtins.__import__

    def refuse_wandb(name: str, *rest: object) -> object:
        assert not name.startswith("wandb"), "wandb was imported"
        return plain_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse_wandb)
    monkeypatch.setenv("WANDB_MODE", "offline")
    (logger,) = make_loggers(RunFolder(tmp_path), {}, start=0)
    assert isinstance(logger, MetricsCSV)
