"""The rotation trick against its paper's definition and against ``vector-quantize-pytorch``."""

import pytest
import torch
from vector_quantize_pytorch.vector_quantize_pytorch import rotate_to

from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.gradient import pass_through, rotated, straight_through


def pair(dimension: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, 30, dimension, generator=generator), torch.randn(2, 30, dimension, generator=generator)


def gradient(function, vectors: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    leaf = vectors.clone().requires_grad_()
    upstream = torch.linspace(-1, 1, vectors.numel()).view_as(vectors)
    return torch.autograd.grad((function(leaf, values) * upstream).sum(), leaf)[0]


def test_rotation_equals_the_package() -> None:
    vectors, values = pair()
    torch.testing.assert_close(rotated(vectors, values, dim=-1), rotate_to(vectors, values))
    ours = gradient(lambda v, q: rotated(v, q, dim=-1), vectors, values)
    torch.testing.assert_close(ours, gradient(rotate_to, vectors, values))


def test_rotation_turns_the_vector_and_its_gradient_by_one_matrix() -> None:
    """Fifty et al., eq. (3): the Jacobian is a rotation times |q| / |e|, and takes the vector to its value."""
    vectors, values = (each[0, 0] for each in pair())
    jacobian = torch.autograd.functional.jacobian(lambda v: rotated(v, values, dim=0), vectors)
    ratio = values.norm() / vectors.norm()
    torch.testing.assert_close(jacobian @ vectors, values)
    torch.testing.assert_close(jacobian @ jacobian.T, ratio**2 * torch.eye(5), rtol=1e-4, atol=1e-5)
    assert float(torch.linalg.det(jacobian)) > 0


def test_the_value_is_exact_whichever_way_the_gradient_goes() -> None:
    vectors, values = pair()
    for how in ("straight_through", "rotation"):
        assert torch.equal(pass_through(vectors, values, how, dim=-1), values)
    assert torch.equal(gradient(straight_through, vectors, values), gradient(lambda v, q: v, vectors, values))


def test_vectors_without_direction_pass_straight_through() -> None:
    vectors, values = torch.zeros(1, 3), torch.ones(1, 3)
    for given in ((vectors, values), (values, vectors)):
        assert torch.equal(rotated(*given, dim=-1), given[1])
        straight = gradient(straight_through, *given)
        assert torch.equal(gradient(lambda v, q: rotated(v, q, dim=-1), *given), straight)


def test_opposite_directions_stay_finite() -> None:
    vectors = pair()[0]
    result = gradient(lambda v, q: rotated(v, q, dim=-1), vectors, -2 * vectors)
    assert bool(result.isfinite().all())


def test_a_quantizer_uses_the_chosen_gradient_estimator() -> None:
    latent = pair()[0].transpose(1, 2)
    result = []
    for how in ("straight_through", "rotation"):
        torch.manual_seed(1)
        given = latent.clone().requires_grad_()
        out = FactorizedVQ(5, 2, 8, 3, gradient=how)(given)
        result.append((out.latent.detach(), torch.autograd.grad(out.latent.square().sum(), given)[0]))
    assert torch.equal(result[0][0], result[1][0])
    assert not torch.allclose(result[0][1], result[1][1])
    with pytest.raises(ValueError, match='gradient is "turned"; it should be "straight_through" or "rotation"'):
        FactorizedVQ(5, 2, 8, 3, gradient="turned")
