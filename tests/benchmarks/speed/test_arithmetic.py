"""The arithmetic of known works, backward passes included."""

import torch

from codeclab.benchmarks.speed.arithmetic import Arithmetic


def test_a_product_and_its_gradients() -> None:
    left, right = torch.randn(3, 4, requires_grad=True), torch.randn(4, 5, requires_grad=True)
    with Arithmetic() as forward:
        result = left @ right
    assert forward.flop == 2 * 3 * 4 * 5
    assert forward.bytes == 4 * (3 * 4 + 4 * 5 + 3 * 5)
    with Arithmetic() as backward:
        torch.autograd.grad(result, (left, right), torch.ones(3, 5))
    assert backward.flop == 2 * forward.flop


def test_a_convolution_counts_and_a_view_moves_nothing() -> None:
    audio, weight = torch.randn(2, 3, 10), torch.randn(4, 3, 3)
    with Arithmetic() as counted:
        torch.nn.functional.conv1d(audio, weight)
    assert counted.flop == 2 * (2 * 4 * 8) * (3 * 3)
    with Arithmetic() as counted:
        audio.transpose(1, 2).unsqueeze(0)[..., :2]
    assert (counted.flop, counted.bytes) == (0, 0)
    with Arithmetic() as counted:
        audio.exp()
    assert (counted.flop, counted.bytes) == (0, 2 * 4 * audio.numel())
