"""The gradient of the STFT, which is not PyTorch's own, and spectra that are computed once."""

import weakref

import pytest
import torch
from torch import Tensor

from codeclab.codecs.layers.shared_spectra import spectra_shared
from codeclab.codecs.layers.stft import STFT, Padding, _Transform


def torchs(audio: Tensor, window: Tensor, hop_length: int) -> Tensor:
    return torch.fft.rfft(audio.unfold(1, len(window), hop_length) * window)


@pytest.mark.parametrize(("length", "hop_length"), [(8, 2), (9, 4), (8, 8)])
def test_the_gradient_of_the_transform_is_pytorchs(length: int, hop_length: int) -> None:
    audio = torch.randn(3, 31, dtype=torch.float64, requires_grad=True)
    window, shares = torch.hann_window(length, dtype=torch.float64), STFT(length).shares
    spectrum, expected = _Transform.apply(audio, window, shares, hop_length, None), torchs(audio, window, hop_length)
    assert torch.equal(spectrum, expected)
    gradient = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(spectrum, audio, gradient), torch.autograd.grad(expected, audio, gradient)
    )
    assert torch.autograd.gradgradcheck(
        lambda x: torch.view_as_real(_Transform.apply(x, window, shares, hop_length, None)).pow(3), audio
    )


@pytest.fixture
def transforms(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each transform that is computed."""
    computed: list[int] = []
    rfft = torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda frames: computed.append(frames.shape[-1]) or rfft(frames))
    return computed


@pytest.mark.parametrize("padding", ["none", "centre", "same", "matched"])
def test_the_same_audio_is_transformed_once(padding: Padding, transforms: list[int]) -> None:
    audio = torch.randn(2, 1, 300)
    stft, twin = STFT(64, padding=padding), STFT(64, padding=padding)
    alone = audio.clone().requires_grad_()
    expected = stft(alone)
    (gradient,) = torch.autograd.grad(expected.abs().sum(), alone)
    transforms.clear()
    with spectra_shared():
        first = stft(audio)
        leaf = audio.detach().requires_grad_()
        second = twin(leaf)
    assert transforms == [64]
    assert not first.requires_grad
    assert torch.equal(first, expected)
    assert torch.equal(second, expected)
    assert torch.equal(torch.autograd.grad(second.abs().sum(), leaf)[0], gradient)


def test_other_audio_and_other_settings_are_transformed(transforms: list[int]) -> None:
    audio = torch.randn(2, 1, 300)
    with spectra_shared():
        for stft in (STFT(64), STFT(32), STFT(64, 32), STFT(64, normalized=True), STFT(64, n_fft=128)):
            stft(audio)
        before = STFT(64)(audio)
        assert len(transforms) == 5
        STFT(64)(audio.clone())
        assert len(transforms) == 6
        after = STFT(64)(audio.mul_(2))
    assert len(transforms) == 7
    torch.testing.assert_close(after, 2 * before)


def test_outside_of_the_block_nothing_is_kept(transforms: list[int]) -> None:
    audio = torch.randn(2, 1, 300)
    with spectra_shared():
        storage = weakref.ref(STFT(64)(audio).untyped_storage())
    assert storage() is None
    STFT(64)(audio)
    STFT(64)(audio)
    assert len(transforms) == 3
