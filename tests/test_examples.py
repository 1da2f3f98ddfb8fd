"""The scripts and the notebook of ``examples/`` run, and give what they say."""

import ast
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import codeclab

FOLDER = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The script that a test names."""
    spec = importlib.util.spec_from_file_location(request.param, FOLDER / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[request.param] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[request.param]
    codeclab.METRICS.pop("crest_error", None)


@pytest.mark.parametrize("example", ["own_metric"], indirect=True)
def test_a_metric_is_added(example: ModuleType) -> None:
    result = example.main(clips=2)
    means = result.summary.query("domain == 'all' and metric == 'crest_error'")["mean"]
    assert len(means) == 2
    assert (means >= 0).all()


@pytest.mark.parametrize("example", ["compare_runs"], indirect=True)
def test_a_run_does_not_differ_from_itself(example: ModuleType, tmp_path: Path) -> None:
    codeclab.Codec.from_recipe("encodec_24khz", scale="laptop").save(tmp_path / "codec")
    assert example.main(str(tmp_path), str(tmp_path), clips=3) == (0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("example", ["swap_quantizer"], indirect=True)
def test_a_quantizer_is_swapped(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    result = example.main(steps=20, runs=str(tmp_path))
    assert result.keys() == {"ResidualVQ", "FactorizedVQ"}


def result_of(cell: str, names: dict[str, Any]) -> Any:
    """Run a notebook's cell; returns what it shows, the value of its last line."""
    lines = ast.parse(cell)
    last = lines.body.pop() if isinstance(lines.body[-1], ast.Expr) else None
    exec(compile(lines, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_the_notebook_runs_from_its_first_cell_to_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    content = json.loads((FOLDER / "codec.ipynb").read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    cells = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in content["cells"])  # outputs are made by who runs it
    names: dict[str, Any] = {}
    outputs = [result_of(cell, names) for cell in cells]
    assert outputs[0]._repr_html_().startswith("<div")
    assert outputs[1][0][0] == 1
    assert all(one._repr_html_().count("<audio") == 2 for one in outputs[2:4])
    assert names["scores"]["mel distance"].is_monotonic_decreasing
    assert names["scores"]["SI-SNR, dB"].is_monotonic_increasing
    assert names["entropy"].between(1, 10).all()
    assert "FSQ" in repr(names["run"].codec)
