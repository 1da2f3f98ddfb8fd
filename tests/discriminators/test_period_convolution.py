import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from codeclab.discriminators import period_convolution as room
from codeclab.discriminators.period_convolution import (
    PeriodConv2d,
    period_conv2d,
    period_convolution,
    period_convolution_backward,
)

SIZES = [
    (1, 6, 5, 3, 41, 2),
    (6, 4, 5, 1, 14, 7),
    (4, 1, 3, 1, 1, 3),
    (3, 5, 3, 2, 8, 1),
    (3, 5, 1, 2, 8, 4),
    (3, 5, 4, 3, 19, 2),
]
"""Channels in and out, kernel, stride, length, period."""


def leaves(size: tuple[int, ...]) -> list[Tensor]:
    """Maps, weight and bias of the size, float64."""
    before, after, kernel_size, _, length, period = size
    shapes = [(2, before, length, period), (after, before, kernel_size, 1), (after,)]
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def reference(maps: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    return F.conv2d(maps, weight, bias, (stride, 1), ((weight.shape[2] - 1) // 2, 0))


@pytest.mark.parametrize("size", SIZES)
def test_maps_and_gradients_are_torchs(size: tuple[int, ...]) -> None:
    inputs, stride = leaves(size), size[3]
    output, expected = period_convolution(*inputs, stride), reference(*inputs, stride)
    torch.testing.assert_close(output, expected, check_stride=False)
    slope = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(output, inputs, slope), torch.autograd.grad(expected, inputs, slope), check_stride=False
    )


def test_it_is_a_well_made_operator() -> None:
    torch.library.opcheck(period_convolution, (*leaves(SIZES[0]), 3))


@pytest.mark.parametrize("wanted", [[True, True, True], [True, False, False], [False, True, True]])
def test_the_compiler_knows_the_layout_of_the_gradients(wanted: list[bool]) -> None:
    maps, weight, bias = (leaf.detach() for leaf in leaves(SIZES[0]))
    slope = torch.randn_like(period_convolution(maps, weight, bias, 3))
    torch.library.opcheck(period_convolution_backward, (slope, maps, weight, 3, wanted), test_utils="test_faketensor")


def test_maps_of_any_layout() -> None:
    maps, weight, bias = (leaf.detach() for leaf in leaves(SIZES[1]))
    for laid in (maps, maps.contiguous(memory_format=torch.channels_last), maps.mT.contiguous().mT):
        torch.testing.assert_close(period_convolution(laid, weight, bias, 1), reference(maps, weight, bias, 1))


def test_a_pass_computes_no_gradient_that_it_does_not_hand_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "has_fast_products", lambda dtype: True)
    layer = period_conv2d(3, 5, 5, 3)
    maps = torch.randn(2, 3, 20, 2, requires_grad=True)
    loss = layer(maps).square().sum()
    products: list[tuple[int, ...]] = []

    class Products(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if function is torch.ops.codeclab.period_convolution_backward.default:
                products.append(tuple(len(one) > 0 for one in result))
            return result

    with Products():
        torch.autograd.grad(loss, maps, retain_graph=True)
        torch.autograd.grad(loss, layer.bias, retain_graph=True)
        loss.backward()
    assert products == [(True, False, False), (False, False, True), (True, True, True)]


@pytest.mark.parametrize("products", [True, False])
def test_the_layer_is_torchs_either_way(products: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "has_fast_products", lambda dtype: products)
    layer, maps = PeriodConv2d(3, 5, 5, 3).double(), torch.randn(2, 3, 20, 2, dtype=torch.float64)
    expected = reference(maps, layer.weight, layer.bias, 3)
    torch.testing.assert_close(layer(maps), expected, check_stride=False)
    assert (layer(maps).stride() != expected.stride()) == products


def test_bfloat16_autocast_computes_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "has_fast_products", lambda dtype: True)
    torch.manual_seed(0)
    layer, maps = PeriodConv2d(8, 5, 5, 3), torch.randn(2, 8, 20, 2, requires_grad=True)
    inputs = [maps, layer.weight, layer.bias]
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(maps)
    assert output.dtype == torch.bfloat16
    expected = reference(*inputs, 3)
    torch.testing.assert_close(output.float(), expected, rtol=2e-2, atol=2e-2, check_stride=False)
    slope = torch.randn_like(expected)
    rough = torch.autograd.grad(output, inputs, slope.bfloat16())
    for ours, exact in zip(rough, torch.autograd.grad(expected, inputs, slope), strict=True):
        assert ours.dtype == torch.float32
        assert (ours - exact).norm() < 0.01 * exact.norm()


def test_period_convolutions_count_as_the_convolutions_that_they_replace() -> None:
    maps, weight, bias = torch.randn(2, 3, 20, 5), torch.randn(4, 3, 5, 1), torch.randn(4)
    counts = []
    for layer in (
        lambda x, w: torch.nn.functional.conv2d(x, w, bias, (3, 1), (2, 0)),
        lambda x, w: period_convolution(x, w, bias, 3),
    ):
        inputs = maps.clone().requires_grad_(), weight.clone().requires_grad_()
        with FlopCounterMode(display=False) as forward:
            output = layer(*inputs)
        with FlopCounterMode(display=False) as backward:
            output.sum().backward()
        counts.append((forward.get_total_flops(), backward.get_total_flops()))
    assert counts[0] == counts[1]
    assert counts[0][0] > 0
