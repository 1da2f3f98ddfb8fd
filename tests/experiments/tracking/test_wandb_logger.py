"""A run's W&B log is Lightning's logger: what users expect of it holds, where W&B fails and beside their own, too."""

import pickle

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers import WandbLogger
from torch import nn

from codeclab.experiments.cli import main
from codeclab.experiments.tracking import wandb_run
from codeclab.experiments.tracking.wandb_run import RunWandb


@pytest.fixture
def logger(monkeypatch, tmp_path):
    """A run's logger, offline and not yet begun."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    return RunWandb(tmp_path / "run", {}, tmp_path / "codec", tmp_path / "best.ckpt")


def use(logger):
    """What a Lightning module calls: two batches' figures, media, settings and gradients."""
    model = nn.Linear(2, 1)
    logger.watch(model, log_freq=1)
    logger.log_metrics({"loss": 1.0}, 1)
    model.weight.sum().backward()
    logger.log_image("picture", [np.zeros((4, 4, 3), np.uint8)])  # of the batch that was logged last
    logger.log_metrics({"loss": 0.5}, 2)
    logger.log_audio("sound", [np.zeros(160)], step=2, sample_rate=[16000])
    logger.log_hyperparams({"note": "mine"})
    logger.experiment.config["more"] = 1
    logger.finalize("success")


def test_methods_of_the_wandb_logger_keep_their_place_among_the_batches(logger, read_wandb, tmp_path):
    assert isinstance(logger, WandbLogger)
    assert (logger.save_dir, logger.name) == (str(tmp_path / "run"), "codeclab")
    config, run_id = logger.experiment.config, logger.experiment.id
    assert logger.version == run_id
    use(logger)
    assert (config["note"], config["more"]) == ("mine", 1)
    (log,) = read_wandb(tmp_path / "run")
    assert (log.run.run_id, log.exit_code) == (run_id, 0)
    assert {step: (row["batch"], row["loss"]) for step, row in log.rows.items()} == {1: (1, 1.0), 2: (2, 0.5)}
    assert "picture" in log.rows[1]
    assert "sound" in log.rows[2]
    assert "gradients/weight" in log.rows[1]


def test_they_stop_nothing_where_wandb_failed(logger, monkeypatch, capsys):
    def fail(*args):
        raise RuntimeError("no disk")

    monkeypatch.setattr(wandb_run, "start_run", fail)
    use(logger)
    assert capsys.readouterr().err == "note: W&B: RuntimeError: no disk; nothing more is logged there\n"


def test_a_log_that_breaks_in_the_middle_is_over_and_says_so_once(logger, monkeypatch, capsys):
    class Broken:
        id = "abc"

        def __getattr__(self, name):
            raise ConnectionResetError("Connection lost")

    monkeypatch.setattr(wandb_run, "define_metrics", lambda run: None)
    monkeypatch.setattr(wandb_run, "start_run", lambda *args: Broken())
    logger.log_metrics({"loss": 1.0}, 1)
    use(logger)
    said = "note: W&B: ConnectionResetError: Connection lost; nothing more is logged there\n"
    assert capsys.readouterr().err == said


def test_a_copy_for_another_process_begins_no_run(logger, monkeypatch):
    monkeypatch.setattr(wandb_run, "start_run", lambda *args: pytest.fail("a run was begun"))
    copied = pickle.loads(pickle.dumps(logger))
    assert (copied.folder, copied.version) == (logger.folder, None)


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_the_trainers_logger_knows_the_runs_folder(build, tmp_path, mode):
    trainer = build("encodec_24khz", 1, wandb=mode).trainer
    assert isinstance(trainer.logger, RunWandb) == (mode == "offline")
    assert trainer.logger.save_dir == trainer.log_dir == str(tmp_path / "run")


def test_a_wandb_logger_of_ones_own_is_a_run_of_its_own(tiny, read_wandb, tmp_path, monkeypatch, capsys):
    """With the checkpoints it was asked to keep, and the same clips."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    words = tiny("dac_44khz", 2, trainer__limit_val_batches=1.0, trainer__enable_checkpointing="true")
    words += ["--trainer.logger=WandbLogger", "--trainer.logger.project=mine", "--trainer.logger.log_model=all"]
    with pytest.raises(SystemExit) as end:
        main(["fit", *words, "--name", "run"])
    assert end.value.code == 0, capsys.readouterr().err
    (runs,), (own,) = read_wandb(tmp_path / "runs" / "run"), read_wandb(tmp_path)
    assert (runs.run.project, own.run.project) == ("codeclab", "mine")
    assert [{artifact.type for artifact in log.artifacts} for log in (runs, own)] == [{"codec"}, {"model"}]
    assert sorted(runs.rows) == [1, 2]
    logged = pd.read_csv(tmp_path / "runs" / "run" / "metrics.csv")["train/spectral"].dropna().tolist()
    for log, axis in ((runs, "batch"), (own, "trainer/global_step")):
        losses = {row[axis]: row["train/spectral"] for row in log.rows.values() if "train/spectral" in row}
        assert list(losses) == [1, 2]
        assert list(losses.values()) == pytest.approx(logged)
        assert any(key.startswith("samples/") for row in log.rows.values() for key in row)
