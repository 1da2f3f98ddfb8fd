"""Unused entries of a codebook that learns by gradient are given new vectors."""

import copy

import pytest
import torch

from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.restart import restart_unused
from codeclab.quantizers.usage import codebook_statistics


def usage(quantizer: FactorizedVQ, latent: torch.Tensor) -> list[float]:
    return codebook_statistics(quantizer(latent).codes, quantizer.codebook_sizes)["usage"].tolist()


def test_counts_and_replacements_by_hand() -> None:
    entries, counts = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([4.0, 0.9, 0.1])
    vectors, codes = torch.tensor([[7.0], [7.0]]), torch.tensor([0, 1])
    restart_unused(entries, counts, vectors, codes, 0.5, 0.5, torch.Generator())
    usage = [0.99 * 4 + 0.01, 0.99 * 0.9 + 0.01, 0.99 * 0.1]
    assert entries.flatten().tolist() == [1, 2, 7]
    assert counts.tolist() == pytest.approx([usage[0], usage[1], sum(usage) / 3])


def test_a_threshold_above_half_the_mean_count_gives_way_to_it() -> None:
    entries, counts = torch.zeros(4, 1), torch.tensor([0.3, 0.3, 0.3, 0.1])
    restart_unused(entries, counts, torch.ones(1, 1), torch.tensor([0]), 2.0, 0.5, torch.Generator())
    assert entries.flatten().tolist() == [0, 0, 0, 1]


def test_latents_far_from_the_entries_use_one_in_vain_and_most_after_restarts() -> None:
    """N(0, 1) entries compared by distance with latents of 0.08: the collapse this is for."""
    latent = 0.08 * torch.randn(4, 6, 100, generator=torch.Generator().manual_seed(3))
    for threshold in (0.0, 1.0):
        torch.manual_seed(0)
        quantizer = FactorizedVQ(6, 1, 32, 4, normalize=False, dead_threshold=threshold)
        for _ in range(200):
            quantizer(latent)
        used = usage(quantizer, latent)[0]
        assert used > 0.8 if threshold else used < 0.3


def test_they_are_a_function_of_seed_and_batch_and_resume_exactly() -> None:
    torch.manual_seed(1)
    batches = [torch.randn(2, 6, 50) for _ in range(100)]
    whole = FactorizedVQ(6, 2, 64, 3, dead_threshold=1.0)
    start = copy.deepcopy(whole.state_dict())
    for batch in batches:
        whole(batch)
    assert not torch.equal(whole.stages[1].codebook.weight, start["stages.1.codebook.weight"])
    half, resumed = (FactorizedVQ(6, 2, 64, 3, dead_threshold=1.0) for _ in range(2))
    half.load_state_dict(start)
    for batch in batches[:50]:
        half(batch)
    resumed.load_state_dict(half.state_dict())
    for batch in batches[50:]:
        resumed(batch)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_only_items_that_use_a_stage_count_for_it() -> None:
    torch.manual_seed(1)
    quantizer = FactorizedVQ(6, 2, 8, 3, dead_threshold=1.0)
    quantizer(torch.randn(3, 6, 50), torch.tensor([1, 2, 1]))
    assert quantizer.counts.sum(1).tolist() == pytest.approx([0.99 * 8 + 1.5, 0.99 * 8 + 0.5])


def test_evaluation_changes_nothing() -> None:
    quantizer = FactorizedVQ(6, 2, 8, 3, dead_threshold=1.0).eval()
    before = copy.deepcopy(quantizer.state_dict())
    quantizer(torch.randn(3, 6, 50))
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())
    assert "counts" not in FactorizedVQ(6, 2, 8, 3).state_dict()
