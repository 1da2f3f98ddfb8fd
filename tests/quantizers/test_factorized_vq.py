"""What only the factorized quantizer does: where its entries start. The rest is in contract and parity tests."""

import numpy as np
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


def test_stages_start_on_the_principal_axes_of_what_is_left_for_them() -> None:
    latent = torch.randn(2, 6, 50, generator=torch.Generator().manual_seed(0)) * torch.arange(6, 0, -1)[:, None] + 3
    quantizer = FactorizedVQ(6, n_codebooks=3, codebook_size=8, codebook_dim=2, kmeans_init=True)
    quantizer(latent)
    left = latent.transpose(1, 2).flatten(0, 1).numpy()
    for index, stage in enumerate(quantizer.stages):
        inward, outward = stage.in_proj.weight.detach()[..., 0], stage.out_proj.weight.detach()[..., 0]
        axes = np.linalg.svd(left - left.mean(0), full_matrices=False)[2][:2]
        np.testing.assert_allclose(inward.T @ inward, axes.T @ axes, atol=1e-4)
        np.testing.assert_allclose(outward, inward.T, atol=1e-4)
        np.testing.assert_allclose(stage.out_proj.bias.detach(), left.mean(0), atol=1e-5)
        before = np.square(left).sum()
        left = (latent - quantizer(latent, index + 1).latent).detach().transpose(1, 2).flatten(0, 1).numpy()
        assert np.square(left).sum() < 0.9 * before


def test_entries_start_as_the_means_of_the_first_batchs_directions(latent: torch.Tensor) -> None:
    # 16 entries for four bundles: k-means may split a bundle, but must leave none out.
    quantizer = FactorizedVQ(3, n_codebooks=2, codebook_size=16, codebook_dim=3, kmeans_init=True)
    quantizer(latent)
    stage = quantizer.stages[0]
    with torch.no_grad():
        projected = stage.in_proj(latent)
        codes = stage.search(projected)[0]
        likeness = F.cosine_similarity(projected, stage.lookup(codes[None]))
        assert float(likeness.min()) > 0.95
        for code in codes.unique():
            members = projected[0][:, codes == code]
            torch.testing.assert_close(stage.codebook.weight[code], members.mean(1), rtol=0.3, atol=0.05)


def test_a_start_is_finite_where_no_axis_touches_a_channel() -> None:
    latent = torch.zeros(1, 6, 40)
    latent[:, 0] = torch.randn(40)
    quantizer = FactorizedVQ(6, n_codebooks=3, codebook_size=4, codebook_dim=2, kmeans_init=True)
    assert bool(quantizer(latent).latent.isfinite().all())
    assert bool(quantizer(torch.ones(1, 6, 40)).latent.isfinite().all())


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
