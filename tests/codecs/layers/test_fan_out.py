"""Gradients of one tensor's uses are added at once, and to the sum that autograd makes."""

import pytest
import torch

from codeclab.codecs.layers.fan_out import fan_out


@pytest.mark.parametrize("used", [[0, 1, 2], [0, 2], [1]])
def test_the_gradient_is_the_sum_of_those_of_the_views_in_use(used: list[int]) -> None:
    tensor = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    views = fan_out(tensor, 3)
    assert all(torch.equal(view, tensor) for view in views)
    total = torch.stack([(views[index] ** (index + 2)).sum() for index in used]).sum()
    (gradient,) = torch.autograd.grad(total, tensor)
    torch.testing.assert_close(gradient, sum((index + 2) * tensor ** (index + 1) for index in used))


def test_without_a_gradient_it_is_the_tensor_itself() -> None:
    tensor = torch.randn(4, requires_grad=True)
    assert fan_out(tensor.detach(), 2)[1].data_ptr() == tensor.data_ptr()
    with torch.no_grad():
        assert fan_out(tensor, 2) == (tensor, tensor)
    assert fan_out(tensor, 1) == (tensor,)
