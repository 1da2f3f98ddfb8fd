"""The two recipes at a size that takes milliseconds a batch, built and trained by the real command's own code."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import lightning
import numpy as np
import pytest
import soundfile
import torch

DISCRIMINATORS = {
    "encodec_24khz": '[{"class_path": "MSSTFTDiscriminator", "init_args": {"n_filters": 2, "n_ffts": [256, 128]}}]',
    "dac_44khz": (
        '[{"class_path": "MultiPeriodDiscriminator",'
        ' "init_args": {"n_filters": 2, "max_filters": 8, "periods": [2, 3]}},'
        ' {"class_path": "MultiBandSTFTDiscriminator", "init_args": {"n_filters": 2, "window_lengths": [256]}}]'
    ),
}
SIZES = {
    "encodec_24khz": {
        "model.encoder.n_filters": 4,
        "model.encoder.dimension": 8,
        "model.decoder.n_filters": 4,
        "model.quantizer.codebook_size": 16,
        "model.quantizer.n_codebooks": 8,
        "model.bitrates": "[0.6, 2.4]",
        "model.bitrate": 2.4,
        "model.rate_sampling.bitrates": "[0.6, 2.4]",
    },
    "dac_44khz": {
        "model.encoder.n_filters": 2,
        "model.encoder.dimension": 16,
        "model.decoder.n_filters": 32,
        "model.quantizer.codebook_size": 16,
        "model.quantizer.n_codebooks": 3,
    },
}
COMMON = {
    "data.batch_size": 4,
    "data.seconds": 0.2,
    "data.workers": 0,
    "data.valid_clips": 2,
    "data.clip_seconds": 0.3,
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
    "trainer.limit_val_batches": 0,
    "trainer.log_every_n_steps": 1,
}


@pytest.fixture(scope="session")
def noise_corpus():
    """A function that makes a folder with train, valid and test, each with a second of noise of every name."""

    def made(folder, names):
        rng = np.random.default_rng(0)
        for split in ("train", "valid", "test"):
            (folder / split).mkdir(parents=True)
            for name in names:
                soundfile.write(folder / split / f"{name}.wav", 0.1 * rng.standard_normal(24000), 24000)
        return folder

    return made


@pytest.fixture(scope="session")
def tiny():
    """``tiny(recipe, steps, **settings)``: arguments of ``codeclab fit``; ``__`` in a setting's name is a dot."""

    def arguments(recipe, steps, **settings):
        flags = {**SIZES[recipe], "model.discriminators": DISCRIMINATORS[recipe], **COMMON}
        flags |= {"trainer.max_steps": steps, "trainer.val_check_interval": steps}
        flags |= {name.replace("__", "."): value for name, value in settings.items()}
        return [f"--config={recipe}", *(f"--{name}={value}" for name, value in flags.items())]

    return arguments


@pytest.fixture
def build(tiny, tmp_path, monkeypatch):
    """``build(recipe, steps, **settings)``: everything a run needs, in a folder of its own, not yet started."""
    from codeclab.experiments.runs import build as fit

    def built(recipe, steps=1, name="run", wandb="disabled", **settings):
        monkeypatch.setenv("WANDB_MODE", wandb)
        return fit.build("fit", [*tiny(recipe, steps, **settings), f"--runs={tmp_path}", f"--name={name}"])

    return built


class Watch(lightning.Callback):
    """Keeps what each batch did: gradients when a player steps, and the state after the batch."""

    def __init__(self, model):
        self.gradients = []
        self.states = []
        self.model = model
        self.players = model.players
        model.players = lambda: {name: Watched(player, name, self) for name, player in self.players().items()}

    def record(self, name):
        named = {f"codec.{name}": p.grad for name, p in self.model.codec.named_parameters()}
        named |= {f"discriminators.{name}": p.grad for name, p in self.model.discriminators.named_parameters()}
        gradients = {name: grad.clone() for name, grad in named.items() if grad is not None}
        self.gradients.append((int(name == "discriminator"), self.model.global_step, gradients))

    def on_train_start(self, trainer, pl_module):
        self.states = [copy.deepcopy(pl_module.state_dict())]

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.states.append(copy.deepcopy(pl_module.state_dict()))


class Watched:
    """A player that tells a ``Watch`` before it steps."""

    def __init__(self, player, name, watch):
        self.player, self.name, self.watch = player, name, watch
        self.clip, self.learning_rate = player.clip, player.learning_rate
        self.follow_schedule = player.follow_schedule

    def step(self):
        self.watch.record(self.name)
        self.player.step()


@pytest.fixture
def watched(build):
    """``watched(recipe, steps, **settings)``: the run, finished, and what a ``Watch`` saw of it."""

    def train(recipe, steps, **settings):
        cli = build(recipe, steps, **settings)
        watch = Watch(cli.model)
        cli.trainer.callbacks.append(watch)
        cli.execute()
        return cli, watch

    return train


def changed(before, after, prefix=""):
    """Names of the tensors that differ."""
    return {
        name
        for name, value in after.items()
        if name.startswith(prefix) and isinstance(value, torch.Tensor) and not torch.equal(value, before[name])
    }


@pytest.fixture(scope="session")
def differing():
    """``differing(before, after, prefix)``: names of the tensors of two state dicts that differ."""
    return changed


@dataclass
class WandbLog:
    """What an offline run's own file holds.

    Attributes:
        run: the run as the server is told it: ``run_id``, ``run_group``, ``tags``, ``display_name``, …
        config: its settings.
        rows: what was logged, by step; media as the JSON that names their files.
        metrics: definitions by name or glob.
        artifacts: those logged.
        exit_code: of the run; None where it was not ended.
    """

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    exit_code: int | None = None

    def take(self, record):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self.run = record.run
            self.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            row = self.rows.setdefault(record.history.step.num, {})
            for item in record.history.item:
                *outer, last = item.nested_key or [item.key]
                node = row
                for key in outer:
                    node = node.setdefault(key, {})
                node[last] = json.loads(item.value_json)
        elif kind == "metric":
            self.metrics[record.metric.name or record.metric.glob_name] = record.metric
        elif kind == "artifact":
            self.artifacts.append(record.artifact)
        elif kind == "exit":
            self.exit_code = record.exit.exit_code


def wandb_records(path):
    """Records of a ``.wandb`` file: after seven bytes LevelDB's log format, 32 KiB blocks of chunks."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, message = path.read_bytes(), 7, b""
    while position + 7 <= len(data):
        left = 2**15 - position % 2**15
        if left < 7:
            position += left
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        message += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole message, or the last part of one
            yield Record.FromString(message)
            message = b""


@pytest.fixture(scope="session")
def read_wandb():
    """``read_wandb(folder)``: what the offline runs logged in a run's folder hold, in the order they were begun."""
    import wandb

    def read(folder):
        wandb.teardown()  # a run that has ended may still be on its way to the disk
        result = []
        for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
            log = WandbLog()
            for record in wandb_records(path):
                log.take(record)
            result.append(log)
        return result

    return read


@pytest.fixture
def assert_equal_trees():
    """A function that asserts that every tensor and number of two nested states is the same."""

    def compare(left, right, path="state"):
        assert type(left) is type(right), path
        if isinstance(left, dict):
            assert left.keys() == right.keys(), path
            for key in left:
                compare(left[key], right[key], f"{path}.{key}")
        elif isinstance(left, list | tuple):
            assert len(left) == len(right), path
            for index, pair in enumerate(zip(left, right, strict=True)):
                compare(*pair, f"{path}[{index}]")
        elif isinstance(left, torch.Tensor):
            assert torch.equal(left, right), path
        else:
            assert left == right, path

    return compare
