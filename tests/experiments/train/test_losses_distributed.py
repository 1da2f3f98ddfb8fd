"""Two processes equal one on the doubled batch: relative feature loss and balancer together.

This file is also the program each of the two processes runs: forking a process with threads is not safe.
"""

import subprocess
import sys

import pytest
import torch
from torch import distributed as dist

from codeclab.discriminators.base import DiscriminatorOutput
from codeclab.discriminators.feature_matching import FeatureMatchingLoss
from codeclab.experiments.train.balancer import Balancer

STEPS = 3
WEIGHTS = {"feature": 3.0, "l1": 1.0}


def outputs_of(audio, steps):
    features = [torch.tanh(audio * (k + 1)) * torch.arange(1.0, audio.shape[-1] + 1) for k in range(steps)]
    return [DiscriminatorOutput(audio, features)]


def batch(step):
    generator = torch.Generator().manual_seed(step)
    # Items of very different level, so that local means differ from the global one.
    levels = torch.tensor([0.1, 0.2, 3.0, 5.0])[:, None, None]
    real = levels * torch.randn(4, 1, 50, generator=generator)
    return real, real + 0.3 * torch.randn(4, 1, 50, generator=generator)


def run(items, settings):
    """The gradient at every step, for ``items`` of each batch, as one process alone would compute it."""
    balancer, loss = Balancer(decay=0.9, **settings), FeatureMatchingLoss()
    results = []
    for step in range(STEPS):
        real, fake = (audio[items] for audio in batch(step))
        leaf = fake.clone().requires_grad_()
        losses = {"feature": loss(outputs_of(real, 2), outputs_of(leaf, 2)), "l1": (leaf - real).abs().mean()}
        gradients = {name: torch.autograd.grad(value, leaf, retain_graph=True)[0] for name, value in losses.items()}
        results.append(balancer.combine(gradients, WEIGHTS))
    return torch.stack(results), balancer.state_dict()["_extra_state"]


SETTINGS = [{}, {"per_item": False}, {"enabled": False}]


def worker(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/init", rank=rank, world_size=2)
    outputs = [run(slice(2 * rank, 2 * rank + 2), settings) for settings in SETTINGS]
    torch.save(outputs, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    running = [subprocess.Popen([sys.executable, __file__, str(rank), str(folder)]) for rank in range(2)]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("index", range(len(SETTINGS)))
def test_two_processes_equal_one(processes, index):
    expected, expected_state = run(slice(None), SETTINGS[index])
    gradients, states = zip(*(outputs[index] for outputs in processes), strict=True)
    # Data parallel training divides each process's gradient by their number.
    torch.testing.assert_close(torch.cat(gradients, dim=1) / 2, expected, rtol=1e-5, atol=1e-8)
    for state in states:
        for part in ("totals", "counts"):
            assert state[part] == pytest.approx(expected_state[part], rel=1e-5)


if __name__ == "__main__":
    worker(int(sys.argv[1]), sys.argv[2])
