"""Two processes learn what one learns from the doubled batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from codeclab.quantizers.diffq import DiffQ
from codeclab.quantizers.distributed import (
    all_gather_batch,
    all_reduce_mean,
    all_reduce_sum,
    is_distributed,
    world_size,
)
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.fsq import FSQ
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.residual_vq import ResidualVQ
from codeclab.quantizers.usage import CodebookCounts, codebook_statistics

WORKER = Path(__file__).with_name("one_of_several.py")
ARGUMENTS = {"dimension": 4, "n_codebooks": 3, "codebook_size": 16, "dead_threshold": 4.0}
# In the second step only process 0 has items that use the third codebook.
COUNTS = [None, torch.tensor([1, 3, 2, 1]), torch.tensor([3, 2, 1, 3])]


def one_process(latents, **changes):
    quantizer = ResidualVQ(**(ARGUMENTS | changes))
    usage = CodebookCounts(quantizer.codebook_sizes)
    steps = []
    for latent, counts in zip(latents, COUNTS, strict=True):
        latent = latent.clone().requires_grad_()
        out = quantizer(latent, counts)
        (gradient,) = torch.autograd.grad(out.losses["commitment"], latent)
        usage.update(out.codes)
        steps.append((out.codes, out.losses["commitment"].detach(), gradient))
    return quantizer.state_dict(), steps, usage.histograms


NOISY = {
    "diffq": (DiffQ, {"dimension": 4, "initial_bits": 2.0}),
    "gumbel": (GumbelSoftmax, {"dimension": 4, "n_codebooks": 2, "codebook_size": 8}),
    "factorized": (FactorizedVQ, {"dimension": 4, "n_codebooks": 2, "codebook_size": 8, "kmeans_init": True}),
    "restarted": (FactorizedVQ, {"dimension": 4, "n_codebooks": 2, "codebook_size": 60, "dead_threshold": 1.0}),
    "finite scalar": (FSQ, {"dimension": 4, "n_codebooks": 2, "levels": [3, 4], "pca_init": True}),
}


def noisy_quantizers():
    torch.manual_seed(3)
    return {name: make(**arguments) for name, (make, arguments) in NOISY.items()}


@pytest.fixture(scope="module")
def latents():
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(4, 4, 40, generator=generator) ** 3 for _ in COUNTS]


def frames_of(latents):
    return torch.cat([latent.transpose(1, 2).flatten(0, 1) for latent in latents])


@pytest.fixture(scope="module")
def ranks(latents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    noisy = {name: (*NOISY[name], quantizer.state_dict()) for name, quantizer in noisy_quantizers().items()}
    plan = {"arguments": ARGUMENTS, "latents": latents, "counts": COUNTS, "noisy": noisy}
    plan |= {"frames": frames_of(latents), "batch_frames": 40}
    torch.save(plan, folder / "plan.pt")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(WORKER)]
    processes = [subprocess.Popen([*command, str(rank), "2", str(folder)], env=environment) for rank in range(2)]
    assert [process.wait(timeout=180) for process in processes] == [0, 0]
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


def test_both_processes_hold_the_same_codebooks(ranks):
    for name, value in ranks[0]["state"].items():
        assert torch.equal(value, ranks[1]["state"][name]), name


def test_codebooks_equal_those_of_one_process(ranks, latents):
    state, _, _ = one_process(latents)
    for name, value in state.items():
        torch.testing.assert_close(ranks[0]["state"][name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_the_comparison_covers_start_and_replacement(latents):
    state, _, _ = one_process(latents)
    for change in ({"dead_threshold": 0.0}, {"kmeans_init": False}, {"seed": 1}):
        other, _, _ = one_process(latents, **change)
        for layer in range(3):
            name = f"codebooks.{layer}.entries"
            assert not torch.allclose(state[name], other[name], atol=1e-3)


def test_codes_losses_and_gradients_equal_those_of_one_process(ranks, latents):
    _, steps, histograms = one_process(latents)
    for index, (codes, loss, gradient) in enumerate(steps):
        parts = [rank["steps"][index] for rank in ranks]
        assert torch.equal(torch.cat([part["codes"] for part in parts]), codes)
        torch.testing.assert_close(torch.stack([part["loss"] for part in parts]).mean(), loss)
        torch.testing.assert_close(torch.cat([part["gradient"] for part in parts]) / 2, gradient)
    assert torch.equal(ranks[1]["usage"], histograms)
    # Of a batch whose third codebook only the first process uses.
    for name, value in codebook_statistics(steps[1][0], [16] * 3).items():
        assert len(value) == 3
        for rank in ranks:
            torch.testing.assert_close(rank["statistics"][name], value)


def test_noise_statistics_and_start_equal_those_of_one_process(ranks, latents):
    for name, quantizer in noisy_quantizers().items():
        whole = quantizer(latents[0]).latent.detach()
        torch.testing.assert_close(torch.cat([rank["noisy"][name][0] for rank in ranks]), whole)
        for rank in ranks:
            for tensor, value in rank["noisy"][name][1].items():
                torch.testing.assert_close(value, quantizer.state_dict()[tensor])


def test_a_start_from_many_batches_equals_that_of_one_process(ranks, latents):
    quantizer = ResidualVQ(**ARGUMENTS)
    quantizer.start_from(frames_of(latents), 40)
    assert float(quantizer.codebooks[2].counts.sum()) == pytest.approx(40, rel=1e-4)
    for rank in ranks:
        for name, value in quantizer.state_dict().items():
            torch.testing.assert_close(rank["late"][name], value, msg=name)


def test_helpers_over_two_processes(ranks):
    for rank in ranks:
        assert rank["helpers"]["sum"].tolist() == [3.0]
        assert rank["helpers"]["mean"].tolist() == [1.5]
        assert rank["helpers"]["gathered"].tolist() == [[10], [11]]


def test_helpers_change_nothing_in_one_process():
    value = torch.ones(3)
    assert not is_distributed()
    assert world_size() == 1
    assert all_reduce_sum(value) is value
    assert all_reduce_mean(value) is value
    assert all_gather_batch(value) is value
