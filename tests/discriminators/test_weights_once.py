"""Weights of discriminators, computed and cast once for several passes."""

import torch
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from codeclab.discriminators.weights_once import AutocastConv2d, weights_normed_once


def test_weights_are_computed_once_until_it_is_left(normed_layers, counted_norms):
    with counted_norms, weights_normed_once(normed_layers):
        first = [layer.weight for layer in normed_layers]
        assert all(one is layer.weight for one, layer in zip(first, normed_layers, strict=True))
    assert counted_norms.norms == 3
    with torch.no_grad():
        normed_layers[0].parametrizations.weight.original0.mul_(2)
    torch.testing.assert_close(normed_layers[0].weight, 2 * first[0])
    assert not parametrize._cache


def test_under_autocast_a_weight_is_cast_once_and_still_usable_in_float32():
    torch.manual_seed(0)
    net, maps = weight_norm(AutocastConv2d(3, 4, (3, 3))), torch.randn(2, 3, 8, 8)
    expected = net(maps)
    expected.sum().backward()
    gradient = net.parametrizations.weight.original1.grad.clone()
    net.zero_grad()
    with torch.autocast("cpu", torch.bfloat16), weights_normed_once(net):
        assert net.weight.dtype == torch.bfloat16
        assert net.weight is net.weight
        low = net(maps)
        with torch.autocast("cpu", enabled=False):
            exact = net(maps)
    assert (low.dtype, exact.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(low.float(), expected, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(exact, expected, rtol=2e-2, atol=1e-2)
    low.float().sum().backward()
    assert net.parametrizations.weight.original1.grad.dtype == torch.float32
    torch.testing.assert_close(net.parametrizations.weight.original1.grad, gradient, rtol=5e-2, atol=5e-2)
    with weights_normed_once(net):
        assert net.weight.dtype == torch.float32
