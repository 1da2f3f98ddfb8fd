"""Weights normalized together, against torch's own of each layer."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from codeclab.quantizers.weight_norm import LARGEST, normed_weights


def test_weights_and_gradients_are_those_of_each_layer(normed_layers, counted_norms):
    expected = [layer.weight for layer in normed_layers]
    factors = [torch.randn_like(weight) for weight in expected]
    parameters = [parameter for name, parameter in normed_layers.named_parameters() if not name.endswith("bias")]
    gradients = torch.autograd.grad(expected, parameters, factors)
    with counted_norms:
        result = normed_weights(list(normed_layers))
    assert counted_norms.norms == 3  # the five of one shape, the five transposed, the one alone
    for one, other in zip(result, expected, strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(torch.autograd.grad(result, parameters, factors), gradients)


def test_frozen_layers_are_no_part_of_a_graph(normed_layers):
    normed_layers[1].requires_grad_(False)
    weights = normed_weights(list(normed_layers))
    assert [weight.requires_grad for weight in weights] == [index != 1 for index in range(len(normed_layers))]


def test_large_weights_are_not_copied_into_one(counted_norms):
    net = nn.ModuleList(weight_norm(nn.Linear(LARGEST // 8, width)) for width in [8] * 4 + [9] * 4)
    with counted_norms:
        weights = normed_weights(list(net))
    assert counted_norms.norms == 1 + 4
    assert all(torch.equal(weight, layer.weight) for weight, layer in zip(weights, net, strict=True))
