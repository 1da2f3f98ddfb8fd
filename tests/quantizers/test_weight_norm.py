"""Weights normalised together, against torch's own of each layer."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.utils._python_dispatch import TorchDispatchMode

from codeclab.quantizers.weight_norm import LARGEST, AutocastConv2d, normed_weights, weights_normed_once


class Counted(TorchDispatchMode):
    norms = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.norms += function.overloadpacket.__name__ == "_weight_norm_interface"
        return function(*args, **(kwargs or {}))


@pytest.fixture
def net():
    """Layers of two shapes that come often, of one that does not, transposed, spectrally normalised and plain."""
    layers = [weight_norm(nn.Conv1d(4, 6, 3)) for _ in range(4)] + [weight_norm(nn.Conv2d(1, 2, (3, 9)))]
    layers += [weight_norm(nn.ConvTranspose1d(4, 6, 3)) for _ in range(5)]
    layers += [spectral_norm(nn.Linear(5, 5)), nn.Conv1d(4, 6, 3), weight_norm(nn.Conv1d(4, 6, 3))]
    for layer in layers:
        if hasattr(layer, "parametrizations") and hasattr(layer.parametrizations.weight, "original0"):
            nn.init.uniform_(layer.parametrizations.weight.original0, 0.5, 2)
    return nn.ModuleList(layers).eval()


def test_weights_and_gradients_are_those_of_each_layer(net):
    expected = [layer.weight for layer in net]
    factors = [torch.randn_like(weight) for weight in expected]
    parameters = [parameter for name, parameter in net.named_parameters() if not name.endswith("bias")]
    gradients = torch.autograd.grad(expected, parameters, factors)
    with Counted() as counted:
        result = normed_weights(list(net))
    assert counted.norms == 3  # the five of one shape, the five transposed, the one alone
    for one, other in zip(result, expected, strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(torch.autograd.grad(result, parameters, factors), gradients)


def test_weights_are_computed_once_until_it_is_left(net):
    with Counted() as counted, weights_normed_once(net):
        first = [layer.weight for layer in net]
        assert all(one is layer.weight for one, layer in zip(first, net, strict=True))
    assert counted.norms == 3
    with torch.no_grad():
        net[0].parametrizations.weight.original0.mul_(2)
    torch.testing.assert_close(net[0].weight, 2 * first[0])
    assert not parametrize._cache


def test_frozen_layers_are_no_part_of_a_graph(net):
    net[1].requires_grad_(False)
    weights = normed_weights(list(net))
    assert [weight.requires_grad for weight in weights] == [index != 1 for index in range(len(net))]


def test_large_weights_are_not_copied_into_one():
    net = nn.ModuleList(weight_norm(nn.Linear(LARGEST // 8, width)) for width in [8] * 4 + [9] * 4)
    with Counted() as counted:
        weights = normed_weights(list(net))
    assert counted.norms == 1 + 4
    assert all(torch.equal(weight, layer.weight) for weight, layer in zip(weights, net, strict=True))


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
