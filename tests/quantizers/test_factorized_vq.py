"""What only the factorized quantizer does: where its entries start. The rest is in contract and parity tests."""

import pytest
import torch
from torch.nn import functional as F

from codeclab.quantizers.factorized_vq import FactorizedVQ


def clustered(generator: torch.Generator) -> torch.Tensor:
    """``[1, 3, 40]`` in four bundles of one direction each, ten vectors long or short in each."""
    directions = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]])
    vectors = directions.repeat(10, 1) + 0.02 * torch.randn(40, 3, generator=generator)
    lengths = torch.tensor([0.01, 5.0]).repeat(20)[torch.randperm(40, generator=generator)]
    return (vectors * lengths[:, None]).t()[None]


@pytest.fixture
def latent() -> torch.Tensor:
    return clustered(torch.Generator().manual_seed(1))


def through_identity(quantizer: FactorizedVQ) -> FactorizedVQ:
    """Make the first stage's projection the identity, so that clusters of the latent are clusters in the stage."""
    stage = quantizer.stages[0]
    with torch.no_grad():
        stage.in_proj.weight = torch.eye(3)[:, :, None]
        stage.in_proj.bias.zero_()
    return quantizer


def test_entries_start_as_the_mean_directions_of_the_first_batch(latent: torch.Tensor) -> None:
    # 16 entries for four bundles: k-means may split a bundle, but must leave none out.
    quantizer = through_identity(FactorizedVQ(3, n_codebooks=2, codebook_size=16, codebook_dim=3, kmeans_init=True))
    quantizer(latent)
    entries = quantizer.stages[0].codebook.weight.detach()
    torch.testing.assert_close(entries.norm(dim=1), torch.ones(16))
    likeness = F.normalize(latent[0], dim=0).t() @ entries.t()
    assert float(likeness.max(1).values.min()) > 0.99


def test_they_start_once_and_in_training_alone(latent: torch.Tensor) -> None:
    quantizer = FactorizedVQ(3, n_codebooks=2, codebook_size=8, codebook_dim=2, kmeans_init=True).eval()
    random = quantizer.stages[1].codebook.weight.clone()
    quantizer(latent)
    assert torch.equal(quantizer.stages[1].codebook.weight, random)
    quantizer.train()(latent, 1)  # the second stage starts too, though this batch does not use it
    started = quantizer.stages[1].codebook.weight.clone()
    assert not torch.equal(started, random)
    resumed = FactorizedVQ(3, n_codebooks=2, codebook_size=8, codebook_dim=2, kmeans_init=True)
    resumed.load_state_dict(quantizer.state_dict())
    for each in (quantizer, resumed):
        each(2 - latent)
        assert torch.equal(each.stages[1].codebook.weight, started)


def test_entries_that_no_vector_is_left_for_stay_random(latent: torch.Tensor) -> None:
    quantizer = FactorizedVQ(3, n_codebooks=1, codebook_size=50, codebook_dim=2, kmeans_init=True)
    before = quantizer.stages[0].codebook.weight.clone()
    quantizer(latent)
    after = quantizer.stages[0].codebook.weight
    assert torch.equal(after[40:], before[40:])
    assert not torch.equal(after[:40], before[:40])


def test_without_kmeans_tensors_are_named_as_before() -> None:
    assert "started" not in FactorizedVQ(3, codebook_size=4).state_dict()
    assert "started" in FactorizedVQ(3, codebook_size=4, kmeans_init=True).state_dict()
