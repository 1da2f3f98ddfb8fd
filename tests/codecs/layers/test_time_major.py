"""Layers as coding computes them give what torch's own layers give."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from codeclab.codecs.layers.activation import Snake
from codeclab.codecs.layers.streaming import Chain, Sum, layer_stream, pushed_whole
from codeclab.codecs.layers.time_major import (
    activated,
    convolution,
    empty,
    in_compute_dtype,
    joined,
    lay_out,
    transposed_convolution,
)
from codeclab.codecs.seanet import SEANetEncoder


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def time_major(x):
    return empty(x, x.shape[-1]).copy_(x)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "arguments",
    [
        {"in_channels": 1, "out_channels": 6, "kernel_size": 7},
        {"in_channels": 2, "out_channels": 6, "kernel_size": 4, "stride": 2, "dilation": 3},
        {"in_channels": 6, "out_channels": 4, "kernel_size": 1},
        {"in_channels": 6, "out_channels": 4, "kernel_size": 1, "stride": 3},
        {"in_channels": 6, "out_channels": 4, "kernel_size": 7, "dilation": 3},
        {"in_channels": 6, "out_channels": 12, "kernel_size": 8, "stride": 4, "bias": False},
        {"in_channels": 6, "out_channels": 6, "kernel_size": 7, "groups": 6},
        {"in_channels": 6, "out_channels": 1, "kernel_size": 7},
    ],
)
@torch.no_grad()
def test_convolutions(batch, arguments):
    module = nn.Conv1d(**arguments)
    x = torch.randn(batch, arguments["in_channels"], 50)
    for given in (x, time_major(x), time_major(F.pad(x, (3, 0)))[..., 3:]):
        torch.testing.assert_close(convolution(module)(given), module(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (16, 8), (7, 3), (5, 5), (3, 1)])
@torch.no_grad()
def test_transposed_convolutions(batch, kernel, stride):
    module = nn.ConvTranspose1d(6, 4, kernel, stride, bias=False)
    x = torch.randn(batch, 6, 20)
    torch.testing.assert_close(transposed_convolution(module)(time_major(x)), module(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("activation", [nn.ELU(), nn.ELU(0.5), Snake(6), nn.Tanh()])
@torch.no_grad()
def test_activations_leave_their_input(activation, monkeypatch):
    monkeypatch.setattr("codeclab.codecs.layers.time_major.CACHED", 100)
    if isinstance(activation, Snake):
        activation.alpha.uniform_(0.2, 3)
    x = time_major(torch.randn(2, 6, 50))
    before = x.clone()
    torch.testing.assert_close(activated(activation, x), activation(x), rtol=0, atol=1e-6)
    assert torch.equal(x, before)


@torch.no_grad()
def test_branches_that_end_in_products_are_added_meanwhile():
    skip, first, last = nn.Conv1d(6, 6, 1), nn.Conv1d(6, 3, 3, padding=1), nn.Conv1d(3, 6, 1)
    body = nn.Sequential(Snake(6), first, nn.ELU(), last)
    x = torch.randn(2, 6, 40)
    before = x.clone()
    for other, branch in ((skip(x), layer_stream(skip)), (x, layer_stream(nn.Identity()))):
        stream = Sum([branch, layer_stream(body)])
        assert stream.products[1] is not None
        pieces = [stream.push(piece) for piece in x.split(7, dim=-1)]
        pieces.append(stream.push(x[..., :0], last=True))
        torch.testing.assert_close(torch.cat(pieces, dim=-1), other + body(x), rtol=0, atol=1e-6)
    assert torch.equal(x, before)


def test_joined_tensors_are_time_major_in_memory():
    first, second = torch.randn(2, 3, 4), torch.randn(2, 3, 5)
    both = joined(first, second)
    assert torch.equal(both, torch.cat([first, second], dim=-1))
    assert both.stride(1) == 1
    assert joined(first[..., :0], second) is second


@torch.no_grad()
def test_whole_inputs_are_normed_over_time_and_pieces_are_refused():
    encoder = SEANetEncoder(dimension=8, n_filters=4, strides=[2, 4], causal=False, norm="time_group_norm").eval()
    for parameter in encoder.parameters():
        parameter.copy_(torch.randn_like(parameter) / 3)
    audio = torch.randn(2, 1, 203)
    torch.testing.assert_close(pushed_whole(encoder, audio), encoder(audio), rtol=0, atol=2e-5)
    with pytest.raises(ValueError, match="time_group_norm takes the mean and variance of all samples"):
        layer_stream(encoder).push(audio)


@torch.no_grad()
def test_a_class_with_a_forward_of_its_own_does_not_inherit_the_stream():
    class Louder(SEANetEncoder):
        def forward(self, audio):
            return 2 * super().forward(audio)

    louder = Louder(dimension=8, n_filters=4, strides=[2, 4]).eval()
    audio = torch.randn(1, 1, 200)
    assert torch.equal(pushed_whole(louder, audio), louder(audio))
    assert isinstance(layer_stream(SEANetEncoder(dimension=8, n_filters=4, strides=[2, 4])), Chain)


class Clones(TorchDispatchMode):
    """Notes the sizes of all tensors that are copied."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket is torch.ops.aten.clone:
            self.sizes.append(args[0].numel())
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        (convolution, nn.Conv1d(6, 12, 8, 4)),
        (convolution, nn.Conv1d(6, 4, 7, groups=2)),
        (transposed_convolution, nn.ConvTranspose1d(6, 4, 16, 8, bias=False)),
    ],
)
@torch.no_grad()
def test_weights_laid_out_are_not_copied_and_give_the_same(layer, module):
    x = time_major(torch.randn(2, 6, 50))
    weight = module.weight.clone()
    with Clones() as before:
        expected = layer(module)(x)
    lay_out(module)
    with Clones() as after:
        assert torch.equal(layer(module)(x), expected)
    assert weight.numel() in before.sizes
    assert weight.numel() not in after.sizes
    assert torch.equal(module.weight, weight)


def test_computed_weights_are_left():
    module = nn.utils.parametrizations.weight_norm(nn.Conv1d(6, 12, 8))
    lay_out(module)
    assert module.parametrizations.weight.original1.is_contiguous()


def test_parameters_are_converted_under_autocast_alone():
    parameter = torch.nn.Parameter(torch.randn(3))
    assert in_compute_dtype(parameter).data_ptr() == parameter.data_ptr()
    assert not in_compute_dtype(parameter).requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        converted = in_compute_dtype(parameter)
    assert converted.dtype == torch.bfloat16
    assert torch.equal(converted, parameter.bfloat16())
