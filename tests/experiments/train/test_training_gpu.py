"""Training on a GPU: the real command's own code, at sizes of milliseconds."""

import csv
import math

import pandas as pd
import pytest
import torch
import yaml

from codeclab.codecs.codec import Codec
from codeclab.experiments.cli import main
from codeclab.experiments.runs.speed.graphs_equal_eager import KeepNumbers, largest_differences
from codeclab.experiments.runs.speed.step_time import measure
from codeclab.experiments.train.cuda_graphs import WARM_UP
from codeclab.experiments.train.settings import OptimizerSettings

pytestmark = pytest.mark.gpu

RECIPES = ["encodec_24khz", "dac_44khz"]
ORDERS = ["discriminator_first", "joint"]
HERE = {"trainer__accelerator": "gpu", "trainer__devices": 1}
TINY = (
    "--model.encoder.n_filters 2 --model.decoder.n_filters 2 --model.encoder.lstm_layers 0 "
    "--model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 --data.workers 0"
)


def figures(cli):
    with cli.folder.metrics.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_both_players_learn(recipe, order, precision, gpu, watched, differing):
    settings = {"model__update_order": order, "model__discriminator_probability": 1, "trainer__precision": precision}
    cli, watch = watched(recipe, 3, **settings, **HERE)
    trained = ("codec.", "discriminators.")
    assert all(value.is_cuda for name, value in watch.states[-1].items() if name.startswith(trained))
    numbers = [float(value) for row in figures(cli) for value in row.values() if value]
    assert all(math.isfinite(number) for number in numbers)
    first, last = watch.states[0], watch.states[-1]
    assert {f"codec.{name}" for name, _ in cli.model.codec.named_parameters()} <= differing(first, last)
    assert differing(first, last, "discriminators.")
    assert all(p.dtype == torch.float32 for p in cli.model.parameters())


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_batch_gives_the_gradients_of_a_cpu(recipe, exact_gpu, watched):
    gradients = {}
    for name, device in (("cpu", {}), ("gpu", HERE)):
        settings = {"model__update_order": "joint", "model__discriminator_probability": 1}
        _, watch = watched(recipe, 1, name=name, **settings, **device)
        gradients[name] = watch.gradients
    for (player, _, ours), (_, _, theirs) in zip(gradients["cpu"], gradients["gpu"], strict=True):
        assert ours.keys() == theirs.keys()
        for name, gradient in ours.items():
            error = (theirs[name].cpu() - gradient).norm() / gradient.norm().clamp(min=1e-6)
            assert float(error) < 1e-2, (player, name)


@pytest.mark.filterwarnings("default")  # the compiler's own
@pytest.mark.parametrize("recipe", RECIPES)
def test_compiled_code_gives_the_same_gradients(recipe, exact_gpu, watched):
    settings = {"model__discriminator_probability": 1, "model__update_order": "joint"}
    _, before = watched(recipe, 1, name="plain", **settings, **HERE)
    _, after = watched(recipe, 1, name="quick", model__compile="true", **settings, **HERE)
    for (player, _, ours), (_, _, theirs) in zip(before.gradients, after.gradients, strict=True):
        for name, gradient in ours.items():
            error = (theirs[name] - gradient).norm() / gradient.norm().clamp(min=1e-6)
            assert float(error) < 1e-2, (player, name)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_replayed_batches_train_as_eager_ones(recipe, order, precision, exact_gpu, build, monkeypatch):
    """With the numbers of two eager trainings as the scale: sums on a GPU are not added up in one order."""
    rate = OptimizerSettings.rate
    monkeypatch.setattr(OptimizerSettings, "rate", lambda *of: float(torch.tensor(rate(*of))))
    one_kind = (
        "AllCodebooks" if recipe == "dac_44khz" else "{class_path: PerBatchBandwidth, init_args: {bitrates: [2.4]}}"
    )
    flags = {"model__update_order": order, "model__discriminator_probability": 1, "model__average_decay": 0.9}
    flags |= {"model__rate_sampling": one_kind, "trainer__precision": precision, **HERE}
    runs = {}
    for name, graphs in (("eager", "false"), ("again", "false"), ("graphs", "true")):
        cli = build(recipe, 20, name=name, model__cuda_graphs=graphs, **flags)
        numbers = KeepNumbers()
        cli.trainer.callbacks.insert(0, numbers)
        cli.execute()
        runs[name] = numbers
    assert runs["graphs"].replays == 20 - WARM_UP
    scale = largest_differences(runs["eager"].rows, runs["again"].rows)
    result = largest_differences(runs["eager"].rows, runs["graphs"].rows)
    for name, difference in result.items():
        assert difference <= max(10 * scale[name], 1e-3 if precision == "32-true" else 2e-2), name


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_that_stopped_goes_on(recipe, gpu, build):
    settings = {"trainer__val_check_interval": 2, "trainer__limit_val_batches": 1, "model__average_decay": 0.9}
    whole = build(recipe, 4, name="whole", **settings, **HERE)
    whole.execute()
    first = build(recipe, 4, name="parts", **settings, **HERE)
    first.trainer.fit_loop.epoch_loop.max_steps = 2
    first.execute()
    second = build(recipe, 4, name="parts", **settings, **HERE)
    second.execute()
    assert second.trainer.global_step == 4
    ours, theirs = ([row for row in figures(cli) if row["train/spectral"]] for cli in (whole, second))
    assert len(ours) == 4
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for left, right in zip(ours, theirs, strict=True):
        assert float(right["train/spectral"]) == pytest.approx(float(left["train/spectral"]), rel=0.01)
    codec = Codec.from_pretrained(second.folder.path).eval()
    audio = torch.randn(1, 1, 4800)
    assert codec.decode(codec.encode(audio)).shape == audio.shape


def test_batches_are_timed_and_memory_is_the_gpus(gpu, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    result = measure(["--config", "encodec_24khz", "--scale", "laptop", *TINY.split()], batches=2, warm_up=2)
    assert 0 < result.memory == torch.cuda.max_memory_allocated() / 2**30
    assert sum(result.shares.values()) == pytest.approx(1)


def test_rows_of_a_table_share_a_gpu(gpu, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    size = "--scale laptop --data.max_test_clips 2 --data.clip_seconds 0.5 --trainer.limit_val_batches 0"
    rows = [
        {"name": name, "flags": f"--config {recipe} {size} --trainer.max_steps 2 --data.workers 0 --data.batch_size 2"}
        for name, recipe in (("One", "encodec_24khz"), ("Two", "dac_44khz"))
    ]
    table = tmp_path / "pair.yaml"
    table.write_text(yaml.safe_dump({"title": "Pair", "source": "here", "metrics": ["si_snr"], "rows": rows}))
    command = ["table", str(table), "--runs", str(tmp_path / "runs"), "--workers", "0", "--devices", "1", "--jobs", "2"]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    said = capfd.readouterr().err
    assert stopped.value.code == 0, said
    assert "2 rows at a time" in said
    means = pd.read_csv(tmp_path / "runs" / "pair-paper" / "table.csv").groupby("row")["mean"]
    assert means.count().min() > 0
    assert torch.cuda.get_device_name() in (tmp_path / "runs" / "pair-paper" / "table.md").read_text()
