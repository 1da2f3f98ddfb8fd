"""The scripts of ``examples/`` run, and give what they say."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

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
    found = example.main(clips=2)
    means = found.summary.query("domain == 'all' and metric == 'crest_error'")["mean"]
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
    found = example.main(steps=20, runs=str(tmp_path))
    assert found.keys() == {"ResidualVQ", "FactorizedVQ"}
