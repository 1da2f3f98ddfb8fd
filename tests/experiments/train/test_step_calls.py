"""What a training step asks of the device: few calls, and nothing read back from it."""

from collections import Counter
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from codeclab.experiments.runs.build import build

VIEWS = {
    *("view", "_unsafe_view", "_reshape_alias", "reshape", "view_as_real", "view_as_complex", "real", "imag", "alias"),
    *("transpose", "transpose_", "t", "permute", "slice", "select", "expand", "unsqueeze", "squeeze", "as_strided"),
    *("split", "split_with_sizes", "unbind", "chunk", "narrow", "unfold", "diagonal", "detach", "lift_fresh"),
}
READS = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "unique", "_unique2"}
MEASURED = 3
CEILINGS = {"encodec_24khz": 1257, "dac_44khz": 3571}
"""Calls in one batch with both players; before updates and weights were joined: 3,471 and 10,857."""


class Calls(TorchDispatchMode):
    """Counts operators, views left out, and notes those that make the host wait for what the device computed.

    On a CPU nothing waits: "of the device" is here whatever is computed from weights or from the batch's audio.
    """

    def __init__(self, device: list[torch.Tensor]) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.reads: list[str] = []
        self.device = WeakIdKeyDictionary()
        for tensor in device:
            self.device[tensor] = True

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        given = [one for one in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        on_device = any(one in self.device for one in given)
        if name not in VIEWS:
            self.counts[name] += 1
        if name in READS and on_device:
            self.reads.append(name)
        result = function(*args, **(kwargs or {}))
        if on_device:
            for one in torch.utils._pytree.tree_leaves(result):
                if isinstance(one, torch.Tensor):
                    self.device[one] = True
        return result


class CountOneBatch(lightning.Callback):
    """Counts the calls of batch number ``MEASURED``, whose optimizers have their moments."""

    calls: Calls

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == MEASURED:
            self.calls = Calls([*pl_module.parameters(), *pl_module.buffers(), batch["audio"]])
            self.calls.__enter__()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == MEASURED:
            self.calls.__exit__(None, None, None)


WIDTHS = {
    "encodec_24khz": "--model.encoder.n_filters 2 --model.decoder.n_filters 2 --model.ensemble_per_bandwidth false",
    "dac_44khz": "--model.encoder.n_filters 2 --model.decoder.n_filters 32",
}
SHARED = (
    "--scale mini --data.batch_size 2 --data.seconds 0.3 --data.workers 0 --model.quantizer_start 0 "
    "--model.quantizer_start_frames 0 --model.adversarial_start 0 --model.discriminator_probability 1"
)


@pytest.fixture(params=["encodec_24khz", "dac_44khz"])
def counted(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Calls]:
    """A recipe with all its layers, narrow, and the calls of a batch in the order that its paper's code learns in."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    flags = f"--config {request.param} {SHARED} {WIDTHS[request.param]} --trainer.max_steps {MEASURED + 1}"
    cli = build("fit", [*flags.split(), f"--runs={tmp_path}"])
    count = CountOneBatch()
    trainer = lightning.Trainer(
        max_steps=MEASURED + 1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
        callbacks=[count],
    )
    trainer.fit(cli.model, datamodule=cli.datamodule)
    return request.param, count.calls


def test_a_step_makes_few_calls_and_reads_nothing_back(counted: tuple[str, Calls]) -> None:
    recipe, calls = counted
    assert calls.reads == []
    assert calls.counts.total() <= CEILINGS[recipe], calls.counts.most_common(30)
    assert calls.counts.total() > CEILINGS[recipe] / 2  # it did count a step


def test_what_is_read_back_is_noticed() -> None:
    weight = torch.ones(3)
    with Calls([weight]) as calls:
        float(torch.ones(2).sum())
        assert calls.reads == []
        float((weight * 2).sum())
    assert calls.reads == ["_local_scalar_dense"]
