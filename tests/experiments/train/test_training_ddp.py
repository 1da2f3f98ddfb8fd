"""Two processes equal one on the same global batch: the real command, the whole training step."""

import copy
import re

import pytest
import torch

STEPS = 6
SETTINGS = {"trainer__limit_val_batches": 1, "model__average_decay": 0.9, "data__seconds": 0.4}
SETTINGS |= {"data__sampling": "UniformByDuration"}
# What turns rounding into another training on one processor and not on the next is left to tests of its own
# (test_quantizers_distributed): k-means decides some 100,000 times which mean is nearest, and Adam, with PyTorch's eps
# of 1e-8, makes a whole step of a gradient that is nothing but rounding.
SETTINGS |= {"model__quantizer__kmeans_init": "false", "model__optimizer__eps": 1e-6}
SETTINGS |= {"model__discriminator_optimizer": "{lr: 3e-4, betas: [0.5, 0.9], eps: 1e-4}"}


def state(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same_training(start, left, right):
    """Two state dicts reached from ``start`` on two ways differ by rounding alone."""
    assert left.keys() == right.keys()
    for name, value in left.items():
        if not isinstance(value, torch.Tensor):
            assert right[name]["counts"] == value["counts"]
            assert right[name]["totals"] == pytest.approx(value["totals"], rel=1e-3)
        elif torch.equal(value, start[name]) or not value.is_floating_point():
            assert torch.equal(right[name], value), name
        else:
            off, moved = float((right[name] - value).norm()), float((value - start[name]).norm())
            # A later codebook holds what the first left of the latent, but the whole latent's rounding.
            size = float(left[re.sub(r"codebooks\.\d+", "codebooks.0", name)].norm())
            assert off <= 1e-4 * size, f"{name} is off by {off}"
            assert off <= 0.01 * moved + 1e-6 * size, f"{name} moved by {moved} and is off by {off}"


def figures(folder):
    """Figures of the whole batch, one dict a row."""
    header, *rows = ((folder / "metrics.csv").read_text()).splitlines()
    named = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    return [{k: float(v) for k, v in row.items() if v} for row in named]


@pytest.mark.slow
def test_two_processes_equal_one(build, tmp_path, fit_on_two_devices):
    """EnCodec: an ensemble a bandwidth, batches in which the discriminators learn or not, the balancer, codebooks."""
    one = build("encodec_24khz", STEPS, name="one", **SETTINGS)
    assert {one.model.schedule.discriminators_learn(batch) for batch in range(STEPS)} == {True, False}
    start = copy.deepcopy(one.model.state_dict())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the two processes have: another number rounds otherwise
    one.execute()
    torch.set_num_threads(threads)

    fit_on_two_devices("two", STEPS, **SETTINGS)

    alone, together = state(tmp_path / "one"), state(tmp_path / "two")
    assert together["global_step"] == STEPS
    assert_same_training(start, alone["state_dict"], together["state_dict"])
    for ours, theirs in zip(figures(tmp_path / "one"), figures(tmp_path / "two"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-2, abs=1e-4)
