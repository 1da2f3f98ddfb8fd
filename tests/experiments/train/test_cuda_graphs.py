"""Recorded steps train as eager ones do, with operators recorded on a CPU in place of CUDA's graphs."""

import lightning
import pytest
import torch

from codeclab.experiments.train.settings import OptimizerSettings

BATCHES = 45
RECIPES = ["encodec_24khz", "dac_44khz"]
ORDERS = ["discriminator_first", "joint"]
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


class CountReplays(lightning.Callback):
    """Counts the batches that were replayed."""

    replays = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.replays = pl_module.graphs.replays if pl_module.graphs else 0


@pytest.fixture
def rounded_rates(monkeypatch):
    """Learning rates in float32, which a recorded step takes from a tensor."""
    rate = OptimizerSettings.rate
    monkeypatch.setattr(OptimizerSettings, "rate", lambda *of: float(torch.tensor(rate(*of))))


@pytest.fixture
def trained(build, operator_graphs):
    """``trained(recipe, batches, graphs, **settings)``: the run, finished, and the number of replayed batches."""

    def train(recipe, batches=BATCHES, graphs=True, name="run", **settings):
        flags = {**SETTINGS[recipe], **SHARED, "model__cuda_graphs": str(graphs).lower(), **settings}
        cli = build(recipe, batches, name=name, **flags)
        count = CountReplays()
        cli.trainer.callbacks.insert(0, count)
        cli.execute()
        return cli, count.replays

    return train


def checkpoint(cli):
    return torch.load(cli.folder.last, weights_only=True)


def assert_equal(left, right, path=""):
    assert type(left) is type(right), path
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right), path
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), path
        for key in left:
            assert_equal(left[key], right[key], f"{path}.{key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), path
        for number, pair in enumerate(zip(left, right, strict=True)):
            assert_equal(*pair, f"{path}[{number}]")
    else:
        assert left == right, path


def assert_same_training(left, right):
    """Weights, codebooks, optimizers, averages and every logged number, bit for bit."""
    ours, theirs = checkpoint(left), checkpoint(right)
    for key in ("state_dict", "optimizer_states", "global_step", "experiment"):
        assert_equal(ours[key], theirs[key], key)
    rows = [[line for line in cli.folder.metrics.read_text().splitlines()] for cli in (left, right)]
    assert len(rows[0]) > 1
    names = rows[0][0].split(",")
    assert names == rows[1][0].split(",")
    timed = [number for number, name in enumerate(names) if name.startswith("speed/")]
    cells = [[[c for n, c in enumerate(row.split(",")) if n not in timed] for row in one] for one in rows]
    assert cells[0] == cells[1]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_replayed_batches_train_as_eager_ones(recipe, order, trained, rounded_rates):
    between = {"trainer__val_check_interval": 20, "trainer__limit_val_batches": 1}
    eager, none = trained(recipe, graphs=False, name="eager", model__update_order=order, **between)
    graphs, replayed = trained(recipe, name="graphs", model__update_order=order, **between)
    assert none == 0
    assert replayed >= 15
    assert_same_training(eager, graphs)
