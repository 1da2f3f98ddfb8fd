"""Finite scalar quantization against its paper's equation by hand and against ``vector-quantize-pytorch``."""

import copy
from functools import partial
from math import atanh, tanh

import numpy as np
import pytest
import torch
import vector_quantize_pytorch as package

from codeclab.quantizers.finite_scalar import pack, unpack
from codeclab.quantizers.fsq import FSQ, ScalarProjection
from codeclab.quantizers.usage import codebook_statistics

LEVELS = [8, 5, 5, 5]


def latent(dimension: int, batch: int = 3, frames: int = 50, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(batch, dimension, frames, generator=torch.Generator().manual_seed(7))


def take_weights(ours: ScalarProjection, theirs: torch.nn.Module) -> None:
    with torch.no_grad():
        for convolution, linear in ((ours.in_proj, theirs.project_in), (ours.out_proj, theirs.project_out)):
            convolution.weight.copy_(linear.weight[..., None])
            convolution.bias.copy_(linear.bias)


def paired(dimension: int) -> tuple[FSQ, package.FSQ]:
    """One codebook of ours and the package's, with the same projections, and with the paper's epsilon in both."""
    theirs = package.FSQ(levels=LEVELS, dim=dimension, channel_first=True)
    theirs.bound = partial(theirs.bound, eps=-1e-3)
    ours = FSQ(dimension, levels=LEVELS)
    if dimension != len(LEVELS):
        take_weights(ours.projections[0], theirs)
    return ours, theirs


def test_rounding_is_the_papers_by_hand() -> None:
    """Section 3.1 and ``bound`` of Appendix A.1, for an even and an odd number of levels."""
    quantizer = FSQ(2, levels=[8, 5])
    for even, odd in ((0.0, 0.0), (0.3, -0.2), (-0.9, 0.55), (4.0, -4.0), (-30.0, 30.0)):
        half = 7 * 0.999 / 2
        first = round(half * tanh(even + atanh(0.5 / half)) - 0.5)
        second = round(4 * 0.999 / 2 * tanh(odd))
        out = quantizer(torch.tensor([[[even], [odd]]]))
        assert out.latent.flatten().tolist() == [first / 4, second / 2]
        assert out.codes.flatten().tolist() == [first + 4 + 8 * (second + 2)]
    assert quantizer.codebook_sizes == [40]
    assert quantizer(torch.zeros(1, 2, 1)).latent.tolist() == [[[0.0], [0.0]]]


def test_every_level_can_be_reached_and_no_other() -> None:
    for count in (3, 4, 5, 8, 16):
        quantizer = FSQ(1, levels=[count])
        codes = quantizer.encode(torch.linspace(-20, 20, 20001)[None, None])
        assert codes.unique().tolist() == list(range(count))
        assert bool((codes.diff() >= 0).all())


@pytest.mark.parametrize("dimension", [4, 10])
def test_one_codebook_equals_the_package_with_its_gradients(dimension: int) -> None:
    ours, theirs = paired(dimension)
    given = [latent(dimension, scale=2.0).requires_grad_() for _ in range(2)]
    out, (quantized, indices) = ours(given[0]), theirs(given[1])
    torch.testing.assert_close(out.latent, quantized)
    assert torch.equal(out.codes[:, 0], indices.long())
    weights = latent(dimension, scale=0.3)
    for result in (out.latent, quantized):
        (result * weights).sum().backward()
    torch.testing.assert_close(given[0].grad, given[1].grad)
    if dimension != len(LEVELS):
        torch.testing.assert_close(ours.projections[0].in_proj.weight.grad[..., 0], theirs.project_in.weight.grad)
        torch.testing.assert_close(ours.projections[0].out_proj.weight.grad[..., 0], theirs.project_out.weight.grad)


def test_codes_stand_for_what_they_stand_for_in_the_package() -> None:
    codes = torch.arange(1000)[None]
    theirs = package.FSQ(levels=LEVELS).indices_to_codes(codes)
    ours = FSQ(4, levels=LEVELS)
    torch.testing.assert_close(ours.decode(codes[:, None]), theirs.transpose(1, 2))
    assert torch.equal(pack(unpack(codes, ours.grid.levels), ours.grid.levels), codes)


@pytest.mark.parametrize("levels", [[8, 5, 5, 5], [2, 3], [5]])
def test_nested_stages_equal_the_packages_residual_fsq(levels: list[int]) -> None:
    stages, dimension = 3, 6
    theirs = package.ResidualFSQ(
        levels=levels, num_quantizers=stages, dim=dimension, is_channel_first=True, quantize_dropout=True
    )
    ours = FSQ(dimension, stages, levels, residual="nested")
    take_weights(ours.projections[0], theirs)
    given = latent(dimension, scale=2.0)
    quantized, indices = theirs.eval()(given)
    out = ours(given)
    assert torch.equal(out.codes, indices.long())
    torch.testing.assert_close(out.latent, quantized)
    for count in (1, 2):
        fewer = theirs.get_output_from_indices(indices[:, :count].transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(ours.decode(out.codes[:, :count]), fewer)
        torch.testing.assert_close(ours(given, count).latent, fewer)


def test_groups_equal_the_packages_grouped_residual_fsq() -> None:
    theirs = package.GroupedResidualFSQ(dim=8, groups=2, levels=LEVELS, num_quantizers=3, is_channel_first=False)
    ours = FSQ(8, n_codebooks=6, levels=LEVELS, groups=2, residual="nested")
    given = latent(8)
    quantized, indices = theirs.eval()(given.transpose(1, 2))
    out = ours(given)
    torch.testing.assert_close(out.latent, quantized.transpose(1, 2))
    for group in range(2):
        assert torch.equal(out.codes[:, group::2], indices[group].transpose(1, 2).long())


def test_nested_gradient_passes_once() -> None:
    """Of ``c tanh(z / c)``, whose derivative is ``1 - tanh(z / c)^2``, whatever the number of stages."""
    for stages in (1, 4):
        given = latent(2).requires_grad_()
        FSQ(2, stages, [5, 5], residual="nested")(given).latent.sum().backward()
        torch.testing.assert_close(given.grad, 1 - torch.tanh(given.detach() / 1.25) ** 2)


def test_projected_stages_code_what_is_left() -> None:
    quantizer = FSQ(6, 3, [5, 5])
    given = latent(6)
    left, total = given, torch.zeros_like(given)
    out = quantizer(given)
    for index, projection in enumerate(quantizer.projections):
        alone = FSQ(2, levels=[5, 5])(projection.in_proj(left))
        assert torch.equal(out.codes[:, index], alone.codes[:, 0])
        output = projection.out_proj(alone.latent)
        left, total = left - output, total + output
    torch.testing.assert_close(out.latent, total)


def test_groups_are_quantized_apart() -> None:
    quantizer = FSQ(8, 4, [4, 4], groups=2)
    whole = quantizer(latent(8))
    changed = latent(8)
    changed[:, 4:] = 0
    assert torch.equal(quantizer(changed).codes[:, ::2], whole.codes[:, ::2])
    assert not torch.equal(quantizer(changed).codes[:, 1::2], whole.codes[:, 1::2])
    first = quantizer(latent(8), 1).latent
    assert bool(first[:, :4].any())
    assert not bool(first[:, 4:].any())


@pytest.mark.parametrize("residual", ["projected", "nested"])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_a_start_uses_most_codes_whatever_the_latents_level(residual: str, scale: float) -> None:
    given = latent(6, batch=8, frames=200, scale=scale) * torch.arange(6, 0, -1)[:, None] + 3 * scale
    quantizer = FSQ(6, 2, [5, 5], residual=residual, pca_init=True)
    out = quantizer(given)
    assert float(codebook_statistics(out.codes, quantizer.codebook_sizes)["usage"].min()) == 1
    assert float(codebook_statistics(out.codes, quantizer.codebook_sizes)["entropy"].min()) > 4
    variance = (given - given.mean((0, 2), keepdim=True)).square().mean()
    # Two of six axes hold 61 of 91 parts of the variance, four of them 86.
    explained = 1 - float((out.latent.detach() - given).square().mean() / variance)
    assert explained > (0.8 if residual == "projected" else 0.6)


def test_a_start_is_on_the_principal_axes() -> None:
    given = latent(6, frames=200) * torch.arange(6, 0, -1)[:, None] + 3
    quantizer = FSQ(6, levels=[5, 5], pca_init=True)
    quantizer(given)
    frames = given.transpose(1, 2).flatten(0, 1).numpy()
    _, sizes, axes = np.linalg.svd(frames - frames.mean(0), full_matrices=False)
    deviations = sizes[:2] / len(frames) ** 0.5
    inward = quantizer.projections[0].in_proj.weight.detach()[..., 0].numpy()
    np.testing.assert_allclose(np.abs(inward), np.abs(0.8 * axes[:2] / deviations[:, None]), rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        projected = quantizer.projections[0].in_proj(given)
    np.testing.assert_allclose(projected.mean((0, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(projected.std((0, 2)), 0.8, rtol=1e-2)


def test_it_starts_once_and_a_resumed_one_not_again() -> None:
    quantizer = FSQ(6, 2, [5, 5], pca_init=True)
    random = copy.deepcopy(quantizer.projections)
    quantizer.eval()(latent(6))
    assert torch.equal(quantizer.projections[1].in_proj.weight, random[1].in_proj.weight)
    quantizer.train()(latent(6), 1)  # the second stage starts too, though this batch does not use it
    started = quantizer.projections[1].in_proj.weight.clone()
    assert not torch.equal(started, random[1].in_proj.weight)
    resumed = FSQ(6, 2, [5, 5], pca_init=True)
    resumed.load_state_dict(quantizer.state_dict())
    for each in (quantizer, resumed):
        each(2 - latent(6))
        assert torch.equal(each.projections[1].in_proj.weight, started)


def test_it_starts_from_frames_of_many_batches_as_from_one() -> None:
    torch.manual_seed(3)
    ours, other = (FSQ(6, 2, [5, 5], pca_init=True) for _ in range(2))
    other.load_state_dict(ours.state_dict())
    ours(latent(6, batch=8))
    other.start_from(latent(6, batch=8).transpose(1, 2).flatten(0, 1), 100)
    for name, value in ours.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    random = FSQ(6, 2, [5, 5])
    before = copy.deepcopy(random.state_dict())
    random.start_from(torch.randn(50, 6), 50)
    assert all(torch.equal(value, before[name]) for name, value in random.state_dict().items())


def test_a_start_is_finite_where_channels_are_silent_or_few() -> None:
    for given in (torch.zeros(1, 6, 40), torch.ones(1, 6, 40)):
        assert bool(FSQ(6, 3, [5, 5], pca_init=True)(given).latent.isfinite().all())
    assert bool(FSQ(2, 2, LEVELS, pca_init=True)(latent(2)).latent.isfinite().all())


@pytest.mark.parametrize("residual", ["projected", "nested"])
def test_it_trains_by_the_reconstruction_alone(residual: str) -> None:
    quantizer = FSQ(6, 2, [5, 5], residual=residual)
    given = latent(6)
    optimizer = torch.optim.Adam(quantizer.parameters(), 0.02)
    errors = []
    for _ in range(100):
        out = quantizer(given)
        assert out.losses == {}
        error = (out.latent - given).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.7 * errors[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": []}, r"levels is \[\]; .* such as \[8, 5, 5, 5\] for 1000 codes"),
        ({"levels": [8, 2]}, "numbers of at least 3"),
        ({"levels": [2, 1], "residual": "nested"}, "numbers of at least 2"),
        ({"n_codebooks": 9, "residual": "nested"}, "9 nested stages of 8 levels .* at most 8"),
        ({"groups": 3}, "dimension 128, n_codebooks 1 and groups 3 do not fit"),
        ({"n_codebooks": 3, "groups": 2}, "n_codebooks 3 and groups 2 do not fit"),
        ({"residual": "stacked"}, 'residual is "stacked"; it should be "projected" or "nested"'),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FSQ(**arguments)
