"""The gradient of the STFT, which is not PyTorch's own."""

import pytest
import torch

from codeclab.codecs.layers.stft import STFT, _RealFourier


@pytest.mark.parametrize("length", [8, 9])
def test_the_gradient_of_the_transform_is_pytorchs(length):
    frames = torch.randn(3, length, dtype=torch.float64, requires_grad=True)
    shares = STFT(length).shares
    spectrum, expected = _RealFourier.apply(frames, shares), torch.fft.rfft(frames)
    assert torch.equal(spectrum, expected)
    gradient = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(spectrum, frames, gradient), torch.autograd.grad(expected, frames, gradient)
    )
    assert torch.autograd.gradgradcheck(lambda x: torch.view_as_real(_RealFourier.apply(x, shares)).pow(3), frames)
