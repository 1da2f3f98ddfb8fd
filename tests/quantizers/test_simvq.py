"""SimVQ, an option of the factorized quantizer, against ``vector-quantize-pytorch``."""

import pytest
import torch
import vector_quantize_pytorch as package

from codeclab.quantizers.factorized_vq import FactorizedVQ

D, SIZE = 5, 32


def without_projections(quantizer: FactorizedVQ) -> FactorizedVQ:
    """Every stage's projections made the identity."""
    with torch.no_grad():
        for stage in quantizer.stages:
            for projection in (stage.in_proj, stage.out_proj):
                projection.weight = torch.eye(D)[..., None]
                projection.bias.zero_()
    return quantizer


@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
def test_one_stage_equals_the_package(gradient: str) -> None:
    theirs = package.SimVQ(D, SIZE, channel_first=True, rotation_trick=gradient == "rotation")
    ours = without_projections(FactorizedVQ(D, 1, SIZE, D, normalize=False, simvq=True, gradient=gradient))
    with torch.no_grad():
        ours.stages[0].codebook.weight.copy_(theirs.frozen_codebook)
        ours.stages[0].transform.weight.copy_(theirs.code_transform.weight)
    given = [torch.randn(2, D, 40, generator=torch.Generator().manual_seed(3)).requires_grad_() for _ in range(2)]
    out, (quantized, indices, loss) = ours(given[0]), theirs(given[1])
    assert torch.equal(out.codes[:, 0], indices)
    torch.testing.assert_close(out.latent, quantized)
    torch.testing.assert_close(out.losses["codebook"] + 0.25 * out.losses["commitment"], loss)
    upstream = torch.linspace(-1, 1, quantized.numel()).view_as(quantized)
    # Their turned vector is differentiable by its length's entry, too; what both teach the matrix is the loss.
    ((out.latent * upstream).sum() + out.losses["codebook"] + 0.25 * out.losses["commitment"]).backward()
    ((quantized * upstream).sum() + loss).backward()
    torch.testing.assert_close(given[0].grad, given[1].grad)
    torch.testing.assert_close(ours.stages[0].transform.weight.grad, theirs.code_transform.weight.grad)


def test_the_matrix_alone_learns() -> None:
    quantizer = FactorizedVQ(D, 2, SIZE, 3, simvq=True, kmeans_init=True)
    out = quantizer(torch.randn(2, D, 40))
    sum(out.losses.values()).backward()
    for stage in quantizer.stages:
        assert stage.codebook.weight.grad is None
        assert bool(stage.transform.weight.grad.any())
    assert not {n for n, p in quantizer.named_parameters() if p.requires_grad and "codebook" in n}


def test_entries_start_where_k_means_put_them() -> None:
    torch.manual_seed(4)
    latent = torch.randn(2, D, 40)
    plain, moved = (FactorizedVQ(D, 2, SIZE, 3, simvq=simvq, kmeans_init=True) for simvq in (False, True))
    moved.load_state_dict(plain.state_dict() | {f"stages.{i}.transform.weight": torch.eye(3) for i in range(2)})
    for quantizer in (plain, moved):
        quantizer(latent)
    for one, other in zip(plain.stages, moved.stages, strict=True):
        assert torch.equal(one.entries(), other.entries())


def test_restarts_and_simvq_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="SimVQ keeps its codebook, so dead_threshold is 0 there, not 2"):
        FactorizedVQ(simvq=True, dead_threshold=2.0)
