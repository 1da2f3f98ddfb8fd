"""A convolution with its leaky ReLU is torch's two operators, with torch's gradients."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from codeclab.discriminators import leaky_convolution as room
from codeclab.discriminators.leaky_convolution import leaky_convolution

CONVOLUTIONS = [
    nn.Conv2d(2, 8, (3, 9), padding=(1, 4)),
    nn.Conv2d(8, 6, (3, 9), stride=(1, 2), dilation=(4, 1), padding=(4, 4)),
    nn.Conv2d(4, 4, 3, padding=1, groups=2),
]
OTHERS = [
    nn.Conv1d(2, 4, 5, padding=2),
    nn.Conv2d(2, 4, 3, bias=False),
    nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
    nn.Conv2d(2, 4, 3, padding="same"),
    nn.Conv2d(2, 4, 3).double(),
]


def maps_for(conv: nn.Module) -> Tensor:
    assert isinstance(conv, nn.Conv1d | nn.Conv2d)
    size = (3, conv.in_channels, 20, 33)[: conv.weight.ndim]
    return torch.randn(size, dtype=conv.weight.dtype, generator=torch.Generator().manual_seed(0))


def reference(conv: nn.Module, maps: Tensor) -> Tensor:
    return F.leaky_relu(conv(maps), 0.2)


class Called(TorchDispatchMode):
    """The names of the operators called, and what a convolution's backward pass computed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.computed: list[tuple[bool, ...]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.names.append(function.overloadpacket.__name__)
        if function is torch.ops.aten.convolution_backward.default:
            self.computed.append(tuple(one is not None for one in result))
        return result


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("conv", CONVOLUTIONS)
def test_maps_and_gradients_are_torchs(conv: nn.Conv2d, layout: torch.memory_format, normed: bool) -> None:
    layer = weight_norm(conv) if normed else conv
    maps = maps_for(conv).contiguous(memory_format=layout).requires_grad_()
    inputs = [maps, *layer.parameters()]
    with Called() as called:
        output = leaky_convolution(layer, maps, 0.2)
    assert "_convolution_pointwise" in called.names
    assert not {"convolution", "leaky_relu_"} & set(called.names)
    expected = reference(layer, maps)
    torch.testing.assert_close(output, expected)
    gradient = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    ours, theirs = (torch.autograd.grad(one, inputs, gradient) for one in (output, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    if normed:
        torch.nn.utils.parametrize.remove_parametrizations(conv, "weight")


@pytest.mark.parametrize("conv", OTHERS)
def test_other_convolutions_are_computed_by_torch(conv: nn.Module) -> None:
    maps = maps_for(conv)
    with Called() as called:
        output = leaky_convolution(conv, maps, 0.2)
    assert "_convolution_pointwise" not in called.names
    assert torch.equal(output, reference(conv, maps))


def test_a_torch_without_the_operator_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_FUSED", None)
    maps = maps_for(CONVOLUTIONS[0])
    assert torch.equal(leaky_convolution(CONVOLUTIONS[0], maps, 0.2), reference(CONVOLUTIONS[0], maps))


def test_a_pass_computes_no_gradient_that_it_does_not_hand_on() -> None:
    conv = CONVOLUTIONS[0]
    computed = []
    for layer in (leaky_convolution, lambda conv, maps, _: reference(conv, maps)):
        maps = maps_for(conv).requires_grad_()
        loss = layer(conv, maps, 0.2).square().sum()
        with Called() as called:
            torch.autograd.grad(loss, maps, retain_graph=True)
            torch.autograd.grad(loss, conv.bias, retain_graph=True)
            loss.backward()
        computed.append(called.computed)
    assert computed[0] == computed[1]
    assert computed[0][0] == (True, False, False)


def test_gradients_have_gradients() -> None:
    """A penalty on a discriminator's gradient differentiates it once more."""
    penalties = []
    for layer in (leaky_convolution, lambda conv, maps, _: reference(conv, maps)):
        maps = maps_for(CONVOLUTIONS[0]).requires_grad_()
        (slope,) = torch.autograd.grad(layer(CONVOLUTIONS[0], maps, 0.2).sum(), maps, create_graph=True)
        penalties.append(torch.autograd.grad(slope.square().sum(), CONVOLUTIONS[0].weight)[0])
    torch.testing.assert_close(*penalties)
    assert penalties[0].norm() > 0


def test_bfloat16_autocast_computes_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "has_fast_products", lambda dtype: True)
    conv, maps = CONVOLUTIONS[1], maps_for(CONVOLUTIONS[1]).requires_grad_()
    inputs = [maps, conv.weight, conv.bias]
    with torch.autocast("cpu", torch.bfloat16), Called() as called:
        output = leaky_convolution(conv, maps, 0.2)
    assert "_convolution_pointwise" in called.names
    assert output.dtype == torch.bfloat16
    exact, gradient = reference(conv, maps), torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        torchs = reference(conv, maps)
    assert (output - exact).norm() <= (torchs - exact).norm()  # which is rounded once more
    gradients = [torch.autograd.grad(one, inputs, gradient.to(one.dtype)) for one in (output, torchs, exact)]
    for ours, theirs, true in zip(*gradients, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - true).norm() < 1.1 * (theirs - true).norm()


def test_it_counts_as_the_convolution_that_it_is() -> None:
    counts = []
    for layer in (leaky_convolution, lambda conv, maps, _: reference(conv, maps)):
        maps = maps_for(CONVOLUTIONS[1]).requires_grad_()
        with FlopCounterMode(display=False) as forward:
            output = layer(CONVOLUTIONS[1], maps, 0.2)
        with FlopCounterMode(display=False) as backward:
            output.sum().backward()
        counts.append((forward.get_total_flops(), backward.get_total_flops()))
    assert counts[0] == counts[1]
    assert counts[0][0] > 0
