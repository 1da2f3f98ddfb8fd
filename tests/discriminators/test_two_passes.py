"""Two passes whose weights' gradients are added together, against two passes as autograd adds them."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.utils._python_dispatch import TorchDispatchMode

from codeclab.discriminators.weights_once import two_passes


class Adds(TorchDispatchMode):
    calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += function.overloadpacket.__name__ in ("add", "add_", "_foreach_add")
        return function(*args, **(kwargs or {}))


class Network(nn.Module):
    """Weight-normed, spectrally normed and plain layers; one that only the first kind of input reaches."""

    def __init__(self):
        super().__init__()
        layers = [nn.Conv1d(1, 4, 3), *(weight_norm(nn.Conv1d(4, 4, 3)) for _ in range(5))]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv1d(4, 2, 3)))
        self.for_long, self.unused = nn.Conv1d(2, 1, 1), nn.Linear(1, 1)

    def forward(self, audio):
        maps = self.layers(audio)
        return self.for_long(maps) if audio.shape[-1] > 30 else maps


@pytest.fixture
def network():
    network = Network().eval()
    network.layers[2].bias.requires_grad_(False)
    return network


def gradients_of(network, outputs):
    network.zero_grad()
    sum(output.square().sum() for output in outputs).backward()
    return {name: one.grad for name, one in network.named_parameters()}


@pytest.mark.parametrize("lengths", [(40, 40), (40, 30), (20, 30)])
def test_outputs_and_gradients_are_those_of_two_passes(network, lengths):
    first, second = (torch.randn(2, 1, length) for length in lengths)
    plain = network(first), network(second)
    expected = gradients_of(network, plain)
    outputs = two_passes(network, first, second)
    for one, other in zip(outputs, plain, strict=True):
        assert torch.equal(one, other)
    result = gradients_of(network, outputs)
    for name, gradient in expected.items():
        if gradient is None:
            assert result[name] is None, name
        else:
            torch.testing.assert_close(result[name], gradient)
    assert not parametrize._cache


def test_gradients_reach_the_audio(network):
    audio = torch.randn(2, 1, 40, requires_grad=True)
    (expected,) = torch.autograd.grad(network(audio).sum(), audio)
    (result,) = torch.autograd.grad(two_passes(network, audio.detach(), audio)[1].sum(), audio)
    torch.testing.assert_close(result, expected)


def test_one_operation_adds_the_gradients_of_all_weights():
    network = nn.Sequential(*(weight_norm(nn.Conv1d(1, 1, 3)) for _ in range(10)))
    one, other = two_passes(network, torch.randn(2, 1, 40), torch.randn(2, 1, 40))
    total = torch.dot(one.flatten(), other.flatten())
    with Adds() as adds:
        total.backward()
    assert adds.calls == 1
