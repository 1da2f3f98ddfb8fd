"""A job holds all it needs: what it was made from may change or go while it waits."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.config.files import RECIPES
from codeclab.experiments.runner.draft import draft_row
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runner.perform import perform
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runner.request import TableRequest
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runs.measure.stamp import Stamp

TINY = (
    "--scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 --model.quantizer.n_codebooks 2 "
    "--model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 --model.encoder.lstm_layers 0 "
    "--model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 --data.max_test_clips 2 "
    "--data.clip_seconds 0.5 --data.workers 0 --trainer.limit_val_batches 0 --trainer.accelerator cpu "
    "--trainer.log_every_n_steps 1 --model.quantizer_start_frames 0 --model.quantizer_start 0"
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """Of a table and a recipe that are changed and removed once it is drafted, with a part of the user's own."""
    folder = tmp_path_factory.mktemp("job")
    recipe = yaml.safe_load((RECIPES / "encodec_24khz.yaml").read_text())
    (folder / "own_loss_of_a_job.py").write_text(
        "from codeclab.experiments.train.losses.waveform import WaveformL1\n\n\nclass OwnL1(WaveformL1):\n    pass\n"
    )
    row = {"name": "A row", "flags": "--config mine.yaml --trainer.max_steps 2 --model.waveform_loss OwnL1"}
    table = {"title": "T", "metrics": ["si_sdr"], "columns": ["stride"], "base": TINY, "rows": [row]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.chdir(folder)
        Path("mine.yaml").write_text(yaml.safe_dump(recipe | {"import": ["own_loss_of_a_job.py"]}))
        Path("table.yaml").write_text(yaml.safe_dump(table))
        spec = read_table("table.yaml")
        (made,) = draft_row(spec.rows[0], TableRequest(spec, runs="runs")).jobs
        Path("table.yaml").unlink()
        Path("mine.yaml").write_text(yaml.safe_dump(recipe | {"trainer": {"max_steps": 1}}))
        yield made


def test_an_edited_recipe_or_table_changes_no_job(job: Job) -> None:
    outcome = perform(pickle.loads(pickle.dumps(job)), wait=False)
    assert outcome.error is None
    assert len(pd.read_csv(job.folder.metrics)) == 2
    stored = yaml.safe_load(job.folder.config.read_text())
    assert stored["trainer"]["max_steps"] == 2
    assert stored["model"]["waveform_loss"]["class_path"].endswith("OwnL1")
    assert stored["made_for"] == {"table": "table", "row": "A row", "seed": 0, "recipe": "mine", "scale": "laptop"}
    stamp = Stamp.read(job.evaluation)
    assert stamp is not None
    assert (stamp.metrics, stamp.columns) == (["si_sdr"], ["stride"])


def test_it_travels_pickled(job: Job) -> None:
    again = pickle.loads(pickle.dumps(job))
    assert again.spec == job.spec
    assert again.config == job.config
    assert (again.name, again.steps, again.title) == (job.name, 2, "A row")


def test_stamps_of_older_versions_count(tmp_path: Path) -> None:
    trained = {"codec": "v1-a", "metrics": ["si_sdr"], "columns": ["stride"], "bitrates": [1.5], "folder": None}
    (tmp_path / "table.json").write_text(json.dumps(trained | {"sample_rate": 24000}))
    assert Stamp.read(tmp_path) == Stamp("v1-a", ["si_sdr"], [1.5], None, 24000, ["stride"])
    other = {"of": {"codec": "v1-a"}, "metrics": ["si_sdr"], "bitrates": [1.5], "folder": None, "sample_rate": 24000}
    (tmp_path / "table.json").write_text(json.dumps(other | {"channels": 1, "clips": {"clip_seconds": 3.0}}))
    stamp = Stamp.read(tmp_path)
    assert stamp == Stamp("v1-a", ["si_sdr"], [1.5], None, 24000, [], 1, {"clip_seconds": 3.0})
    Stamp.remove(tmp_path)
    assert Stamp.read(tmp_path) is None
    assert stamp is not None
    stamp.write(tmp_path)
    assert Stamp.read(tmp_path) == stamp
    content = json.loads((tmp_path / "measured_as.json").read_text())
    (tmp_path / "measured_as.json").write_text(json.dumps(content | {"version": 2}))
    assert Stamp.read(tmp_path) is None


def test_a_row_that_is_refused_has_no_job(tmp_path: Path) -> None:
    """In its folder lies another run, which is neither trained nor measured for this row."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("model: {seed: 7}\n")
    row = RowSpec("A row", flags=[*TINY.split(), "--config", "encodec_24khz", "--name", "mine"])
    spec = TableSpec("t", "T", "", [row], ["si_sdr"])
    draft = draft_row(row, TableRequest(spec, runs=str(tmp_path)))
    assert "mine holds a run with other settings" in str(draft.error)
    assert (draft.jobs, draft.left) == ([], [])
