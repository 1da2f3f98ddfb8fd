"""Recorded steps train as eager ones do, with operators recorded on a CPU in place of CUDA's graphs."""

import json

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from codeclab.codecs.codec import Codec
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.speed import graphs_equal_eager
from codeclab.experiments.runs.speed.step_time import time_batches
from codeclab.experiments.train.cuda_graphs import WARM_UP, CudaGraphs, StepGraphs, refuse_graphs
from codeclab.experiments.train.non_finite import NonFiniteLossError
from codeclab.experiments.train.player import Player
from codeclab.experiments.train.profiling import BatchTimer
from codeclab.experiments.train.rate_sampling import AllCodebooks, CodebookDropout
from codeclab.experiments.train.schedule import StepChoices
from codeclab.experiments.train.settings import OptimizerSettings
from codeclab.experiments.train.step_output import StepOutput
from codeclab.experiments.train.update import MicroBatchOutput
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.fsq import FSQ
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.host_work import HostWork, is_recorded, on_host, to_device
from codeclab.quantizers.residual_vq import ResidualVQ

BATCHES = {"encodec_24khz": 36, "dac_44khz": 30}
RECIPES = ["encodec_24khz", "dac_44khz"]
SETTINGS = {
    "encodec_24khz": {
        "model__bitrates": "[0.6, 1.2, 2.4]",
        "model__rate_sampling__bitrates": "[0.6, 1.2, 2.4]",
        "model__discriminator_probability": 0.667,
    },
    "dac_44khz": {"model__discriminator_probability": 0.667},
}
SHARED = {
    "model__average_decay": 0.9,
    "model__optimizer__clip_norm": 0.5,
    "model__optimizer__warmup": 5,
    "model__optimizer__schedule": "cosine",
}


ONE_KIND = {"model__rate_sampling__bitrates": "[2.4]", "model__discriminator_probability": 1}
"""Every batch does the same work, so that those after the warm-up are replayed."""


class Watch(lightning.Callback):
    """Counts the batches that were replayed, and keeps all outputs until the end."""

    def __init__(self):
        self.replays = 0
        self.outputs = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.replays = pl_module.graphs.replays if pl_module.graphs else 0
        self.outputs.append(StepOutput.of(outputs))


@pytest.fixture
def rounded_rates(monkeypatch):
    """Learning rates in float32, which a recorded step takes from a tensor."""
    rate = OptimizerSettings.rate
    monkeypatch.setattr(OptimizerSettings, "rate", lambda *of: float(torch.tensor(rate(*of))))


@pytest.fixture
def trained(build, operator_graphs):
    """``trained(recipe, batches, graphs, until, **settings)``: the run, trained until a batch, and its ``Watch``."""

    def train(recipe, batches, graphs=True, name="run", until=None, **settings):
        flags = {**SETTINGS[recipe], **SHARED, "model__cuda_graphs": str(graphs).lower(), **settings}
        cli = build(recipe, batches, name=name, **flags)
        cli.trainer.fit_loop.epoch_loop.max_steps = until or batches
        watch = Watch()
        cli.trainer.callbacks.insert(0, watch)
        cli.execute()
        return cli, watch

    return train


def checkpoint(cli):
    return torch.load(cli.folder.last, weights_only=True)


@pytest.fixture
def assert_same_training(assert_equal_trees):
    """Weights, codebooks, optimizers, averages and every logged number of two runs are equal, bit for bit."""

    def compare(left, right):
        ours, theirs = checkpoint(left), checkpoint(right)
        for key in ("state_dict", "optimizer_states", "global_step", "experiment"):
            assert_equal_trees(ours[key], theirs[key], key)
        rows = [[line for line in cli.folder.metrics.read_text().splitlines()] for cli in (left, right)]
        assert len(rows[0]) > 1
        names = rows[0][0].split(",")
        assert names == rows[1][0].split(",")
        timed = [number for number, name in enumerate(names) if name.startswith("speed/")]
        cells = [[[c for n, c in enumerate(row.split(",")) if n not in timed] for row in one] for one in rows]
        assert cells[0] == cells[1]

    return compare


@pytest.mark.parametrize("order", ["discriminator_first", pytest.param("joint", marks=pytest.mark.slow)])
@pytest.mark.parametrize("recipe", RECIPES)
def test_replayed_batches_train_as_eager_ones(
    recipe, order, trained, rounded_rates, assert_same_training, assert_equal_trees
):
    between = {"trainer__val_check_interval": 20, "trainer__limit_val_batches": 1}
    eager, watch = trained(recipe, BATCHES[recipe], graphs=False, name="eager", model__update_order=order, **between)
    graphs, replayed = trained(recipe, BATCHES[recipe], name="graphs", model__update_order=order, **between)
    assert watch.replays == 0
    assert replayed.replays >= BATCHES[recipe] / 4
    assert_same_training(eager, graphs)
    for ours, theirs in zip(watch.outputs, replayed.outputs, strict=True):  # no replay overwrote what was kept
        assert_equal_trees(ours.codes, theirs.codes)
        assert_equal_trees(dict(ours.shares), dict(theirs.shares))
        assert ours.figures() == theirs.figures()
        assert (ours.losses, ours.bitrate) == (theirs.losses, theirs.bitrate)


def test_replayed_batches_train_as_eager_ones_in_bfloat16(trained, rounded_rates, assert_same_training):
    settings = {**ONE_KIND, "trainer__precision": "bf16-mixed", "model__update_order": "joint"}
    eager, _ = trained("encodec_24khz", 10, graphs=False, name="eager", **settings)
    graphs, watch = trained("encodec_24khz", 10, name="graphs", **settings)
    assert watch.replays == 10 - WARM_UP
    assert_same_training(eager, graphs)


def test_what_joins_late_and_parts_of_a_batch_are_recorded(trained, rounded_rates, assert_same_training):
    late = {
        **{"model__quantizer_start": 5, "model__quantizer_start_frames": 800, "model__quantizer__kmeans_init": "true"},
        **{"model__adversarial_start": 9, "model__discriminator_warmup": 6, "model__discriminator_probability": 1},
        **{"model__accumulate": 2, "model__update_order": "joint", "model__rate_sampling": "AllCodebooks"},
    }
    eager, _ = trained("dac_44khz", 24, graphs=False, name="eager", **late)
    graphs, watch = trained("dac_44khz", 24, name="graphs", **late)
    assert watch.replays == 24 - 4 * WARM_UP  # without quantizer, without discriminators, their warm-up, both
    assert_same_training(eager, graphs)


def test_learning_rates_alone_are_rounded(trained):
    """To float32: losses stay the eager ones but for the last digits, until a vector finds another entry."""
    eager, _ = trained("encodec_24khz", 6, graphs=False, name="eager", **ONE_KIND)
    graphs, watch = trained("encodec_24khz", 6, name="graphs", **ONE_KIND)
    assert watch.replays == 6 - WARM_UP
    ours, theirs = checkpoint(eager), checkpoint(graphs)
    for left, right in zip(ours["optimizer_states"], theirs["optimizer_states"], strict=True):
        assert left["param_groups"] == right["param_groups"]
    for name, value in ours["state_dict"].items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            torch.testing.assert_close(theirs["state_dict"][name], value, rtol=1e-3, atol=1e-4)


def test_a_run_goes_on_with_or_without_graphs(trained, rounded_rates, assert_same_training):
    settings = {**ONE_KIND, "model__optimizer__schedule": "exponential", "model__optimizer__decay": 0.9}
    whole, watch = trained("encodec_24khz", 14, name="whole", **settings)
    assert watch.replays == 14 - WARM_UP
    trained("encodec_24khz", 14, name="parts", until=5, **settings)
    trained("encodec_24khz", 14, name="parts", until=9, graphs=False, **settings)
    parts, again = trained("encodec_24khz", 14, name="parts", **settings)
    assert again.replays == 14 - 9 - WARM_UP
    assert_same_training(whole, parts)


def test_a_recording_that_fails_leaves_the_training_as_it_was(
    trained, rounded_rates, monkeypatch, capfd, assert_same_training
):
    eager, _ = trained("encodec_24khz", 8, graphs=False, name="eager", **ONE_KIND)
    step = Player.step  # the generator's is the last that a batch does

    def reads(self):
        if self.counts_batches and is_recorded():
            float(next(self.module.parameters()).detach().sum())
        step(self)

    monkeypatch.setattr(Player, "step", reads)
    capfd.readouterr()
    graphs, watch = trained("encodec_24khz", 8, name="graphs", **ONE_KIND)
    assert watch.replays == 0
    assert_same_training(eager, graphs)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("cuda_graphs:")]
    assert line == (
        "cuda_graphs: the step could not be recorded (RuntimeError: _local_scalar_dense reads: operation not permitted "
        "when stream is capturing); training goes on without graphs"
    )


class Spoil(lightning.Callback):
    """Makes one batch's audio NaN."""

    def __init__(self, batch):
        self.batch = batch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == self.batch:
            batch["audio"].fill_(torch.nan)


@pytest.mark.parametrize("bad", [5, 7])  # one that only the next batch notices; one before a checkpoint is due
def test_a_replayed_batch_that_is_not_finite_stops_the_run_before_a_checkpoint(bad, build, operator_graphs, capfd):
    settings = {**ONE_KIND, "model__cuda_graphs": "true", "trainer__val_check_interval": 4}
    cli = build("encodec_24khz", 12, trainer__log_every_n_steps=100, **settings)
    cli.trainer.callbacks.insert(0, Spoil(bad))
    with pytest.raises(NonFiniteLossError, match=f"not finite at batch {bad}: discriminator is nan") as stopped:
        cli.execute()
    assert bool(stopped.value.audio.isnan().all())
    assert "cannot be written" not in capfd.readouterr().err  # it is no fault of the disk
    state = checkpoint(cli)
    assert state["global_step"] == 4
    floats = [v for v in state["state_dict"].values() if isinstance(v, torch.Tensor) and v.is_floating_point()]
    assert all(bool(value.isfinite().all()) for value in floats)


def test_batches_whose_parts_are_timed_run_as_they_are(build, operator_graphs):
    cli = build("encodec_24khz", 8, model__cuda_graphs="true", **ONE_KIND)
    replays = []

    class Count(lightning.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            replays.append(pl_module.graphs.replays)

    timer = BatchTimer(apart_from=5)
    cli.datamodule.n_batches = 8
    trainer = cli.brief_trainer(8, timer)
    trainer.callbacks.append(Count())
    trainer.fit(cli.model, cli.datamodule)
    assert replays == [0, 0, 0, 1, 2, 2, 2, 2]
    assert timer.shares()["backward"] > 0
    assert len(time_batches(cli, 4).worked) == 4  # on a trainer of its own, the weights in other memory


def test_graphs_are_compared_with_two_eager_trainings(tiny, tmp_path, monkeypatch, operator_graphs, rounded_rates):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    flags = tiny("encodec_24khz", 6, **ONE_KIND, **SHARED)
    to = tmp_path / "compared.json"
    graphs_equal_eager.main(["--to", str(to), "--batches", "5", *flags, f"--runs={tmp_path}"])
    result = json.loads(to.read_text())
    assert (result["batches"], result["replays"]) == (5, 5 - WARM_UP)
    assert {"discriminator", "spectral", "commitment", "generator_grad_norm"} <= result["differences"].keys()
    assert set(map(tuple, result["differences"].values())) == {(0, 0)}
    assert [file.name for file in tmp_path.iterdir()] == ["compared.json"]
    rows, others = [{"a": 2.0, "b": 0.0}, {"a": -4.0, "b": 0.0}], [{"a": 2.0, "b": 0.5}, {"a": -3.0, "b": 0.0}]
    assert graphs_equal_eager.largest_differences(rows, others) == {"a": 0.25, "b": 0.5}


def dummy_step(audio, choices):
    value = audio.mean()
    return MicroBatchOutput({"loss": value}, {}, {}, None, audio.long(), [2])


CHOICES = StepChoices([2], True, 0, False, True)


def test_batches_of_another_length_run_as_they_are(operator_graphs, capfd):
    graphs = StepGraphs(operator_graphs(torch.device("cpu")), lambda: None)
    for number in range(WARM_UP + 3):
        for audio in (torch.full((2, 1, 8), float(number)), torch.full((1, 1, 8), 7.0)):
            output = graphs.run(audio, CHOICES, dummy_step)
            assert float(output.losses["loss"]) == float(audio[0, 0, 0])
            assert torch.equal(output.codes, audio.long())
    assert graphs.replays == 3
    said = capfd.readouterr().err
    assert said == "cuda_graphs: batches of [1, 1, 8] are trained without a graph, which is for [2, 1, 8]\n"


def test_a_step_that_takes_other_numbers_from_the_host_than_it_did_is_not_recorded():
    host, device = HostWork(), torch.device("cpu")
    counts = [1]

    def take():
        return to_device(lambda: torch.tensor(counts[0]), device)

    def count():
        counts[0] += 1

    with host.noted():
        first = take()
        on_host(count)
    with host.left_out():
        assert take() is first
        on_host(count)
    assert (int(first), counts) == (1, [2])
    host.repeat()
    assert (int(first), counts) == (2, [3])
    with pytest.raises(RuntimeError, match="fewer numbers from the host"), host.left_out():
        pass
    with host.left_out():
        take()
        with pytest.raises(RuntimeError, match="more numbers from the host"):
            take()


def codec_with(quantizer):
    encoder = SEANetEncoder(n_filters=2, dimension=8, strides=[2, 2], lstm_layers=0)
    return Codec(encoder, quantizer, SEANetDecoder(n_filters=2, dimension=8, strides=[2, 2], lstm_layers=0), 16000)


@pytest.mark.parametrize(
    ("quantizer", "sampling", "why"),
    [
        (ResidualVQ(8, 2, 16), AllCodebooks(), None),
        (FactorizedVQ(8, 2, 16), CodebookDropout(), None),
        (FSQ(8, 2), CodebookDropout(), None),
        (ResidualVQ(8, 2, 16), CodebookDropout(), "ResidualVQ with CodebookDropout .* the number of items"),
        (
            FactorizedVQ(8, 2, 16, dead_threshold=2),
            AllCodebooks(),
            "FactorizedVQ cannot be recorded, .* dead_threshold",
        ),
        (GumbelSoftmax(8, 2, 16), AllCodebooks(), "GumbelSoftmax cannot be recorded, .* may read the device"),
    ],
)
def test_quantizers_that_need_the_host_are_refused(quantizer, sampling, why, operator_graphs):
    check = (operator_graphs, codec_with(quantizer), sampling, torch.device("cpu"))
    if why is None:
        refuse_graphs(*check, devices=1)
    else:
        with pytest.raises(
            ValueError, match=f"^cuda_graphs: a step of {why}.*. Leave out --model.cuda_graphs to train without$"
        ):
            refuse_graphs(*check, devices=1)


def test_several_devices_are_refused(operator_graphs):
    with pytest.raises(ValueError, match="this training has 2 .--trainer.devices 1.. Leave out"):
        refuse_graphs(operator_graphs, codec_with(FSQ(8, 1)), AllCodebooks(), torch.device("cpu"), devices=2)


def test_a_cpu_is_refused_before_there_is_a_run(build, tmp_path):
    with pytest.raises(RecipeError, match="cuda_graphs: it needs a CUDA device, and this training runs on cpu"):
        build("encodec_24khz", model__cuda_graphs="true")
    assert not list(tmp_path.iterdir())
    assert CudaGraphs.why_not(torch.device("cuda")) is None


def test_any_trainer_refuses(build):
    model = build("encodec_24khz").model
    model.cuda_graphs = True
    loader = DataLoader(torch.zeros(2, 1, 4800), batch_size=2)
    nothing = {"logger": False, "enable_checkpointing": False, "limit_val_batches": 0}
    trainer = lightning.Trainer(accelerator="cpu", max_steps=1, enable_progress_bar=False, **nothing)
    with pytest.raises(ValueError, match="it needs a CUDA device"):
        trainer.fit(model, loader, loader)
