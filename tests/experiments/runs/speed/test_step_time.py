"""The benchmark of a training batch: what it times is what runs, and nothing else of the run acts."""

import lightning
import pytest

from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.speed.step_time import HEADER, main, time_batches
from codeclab.experiments.train.profiling import PARTS

TINY = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.adversarial_start 0 --data.seconds 0.2 --data.batch_size 2 --data.workers 0"
)


def test_only_the_second_half_is_taken_apart(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    to = tmp_path / "times.md"
    for _ in range(2):
        main([*TINY.split(), "--batches", "2", "--warm-up", "1", "--to", str(to)])
    header, row = HEADER.splitlines(), to.read_text().splitlines()[-1]
    assert to.read_text().splitlines()[:2] == header
    assert len(to.read_text().splitlines()) == 4
    assert row in capsys.readouterr().out
    cells = dict(
        zip(*([cell.strip() for cell in line.strip("|").split("|")] for line in (header[0], row)), strict=True)
    )
    lowest, highest = map(float, cells["lowest to highest"].split(" to "))
    assert 0 < lowest <= float(cells["ms a batch"]) <= highest
    shares = {part: int(cells[part].removesuffix(" %")) for part in (*PARTS, "rest")}
    assert sum(shares.values()) == pytest.approx(100, abs=len(shares))
    assert min(shares[part] for part in ("codec forward", "discriminators forward", "output gradients", "backward")) > 0
    assert not (tmp_path / "runs").exists()


class Acting(lightning.Callback):
    """One of the run's own, which must not act."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        pytest.fail("a callback of the run acted")


def test_a_built_experiment_is_timed_again_and_again_at_the_rates_of_its_whole_run(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli = build("fit", [*TINY.split(), "--trainer.max_steps", "100", "--dry-run"])
    cli.trainer.callbacks.append(Acting())
    cli.config_init["trainer"].callbacks = [Acting()]
    before = list(cli.trainer.callbacks)
    assert [len(time_batches(cli, batches).worked) for batches in (2, 3)] == [2, 3]
    assert cli.model.trainer.max_steps == 100
    assert cli.trainer.callbacks == before
    assert not list(tmp_path.iterdir())


def test_impossible_counts_are_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        main([*TINY.split(), "--batches", "0"])
    assert "--batches and --warm-up should be 1 or more" in capsys.readouterr().err
