"""A loss that is not finite stops the run with status 1, and leaves what explains it."""

import math

import pytest
import torch
from safetensors.torch import load_file

from codeclab.experiments.train.non_finite import NonFiniteLossError, finite_figures

BATCHES_BEFORE = 3


@pytest.fixture
def spoiled_run(tiny, tmp_path, monkeypatch, capsys):
    """``spoiled_run(spoil)``: status and messages of a run whose waveform loss is ``spoil(loss)`` from batch 3 on."""
    from codeclab.experiments.cli import fit
    from codeclab.experiments.train.losses.waveform import WaveformL1

    monkeypatch.setenv("WANDB_MODE", "disabled")

    def run(spoil):
        calls, plain = [], WaveformL1.forward

        def forward(self, fake, real):
            calls.append(real)
            loss = plain(self, fake, real)
            return spoil(loss) if len(calls) > BATCHES_BEFORE else loss

        monkeypatch.setattr(WaveformL1, "forward", forward)
        settings = {"trainer__val_check_interval": 2, "model__update_order": "joint"}
        arguments = [*tiny("encodec_24khz", 6, **settings), f"--runs={tmp_path}", "--name=run"]
        status = fit.run("fit", arguments)
        monkeypatch.setattr(WaveformL1, "forward", plain)
        return status, capsys.readouterr().err, calls, arguments

    return run


def test_the_run_stops_and_the_same_command_continues_it(spoiled_run, tmp_path):
    from codeclab.experiments.cli import fit

    status, message, batches, arguments = spoiled_run(lambda loss: loss * float("nan"))
    folder = tmp_path / "run"
    assert status == 1
    assert "not finite at batch 3: waveform is nan, generator_grad_norm is nan" in message
    assert "spectral is" not in message
    file = folder / "non_finite_batch_3.safetensors"
    assert str(file) in message
    assert torch.equal(load_file(file)["audio"], batches[-1])
    checkpoint = folder / "checkpoints" / "last.ckpt"
    assert f"last good checkpoint is {checkpoint}" in message
    state = torch.load(checkpoint, weights_only=True)
    assert state["global_step"] == 2
    floats = [v for v in state["state_dict"].values() if isinstance(v, torch.Tensor) and v.is_floating_point()]
    assert all(bool(value.isfinite().all()) for value in floats)

    assert fit.run("fit", arguments) == 0
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 6


class InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("inf")


def test_a_finite_loss_with_an_infinite_gradient_stops_before_it_spoils_the_weights(spoiled_run, tmp_path):
    status, message, _, _ = spoiled_run(InfiniteGradient.apply)
    assert status == 1
    assert "not finite at batch 3: generator_grad_norm is" in message


def test_figures_keep_their_names_and_values():
    figures = {"a": torch.tensor(0.5), "b": torch.tensor(2.0, dtype=torch.bfloat16)}
    assert finite_figures(figures, 0, torch.zeros(1, 1, 4)) == {"a": 0.5, "b": 2.0}
    with pytest.raises(NonFiniteLossError, match="at batch 7: b is inf, c is nan") as caught:
        finite_figures(figures | {"b": torch.tensor(math.inf), "c": torch.tensor(math.nan)}, 7, torch.ones(2, 1, 4))
    assert torch.equal(caught.value.audio, torch.ones(2, 1, 4))
