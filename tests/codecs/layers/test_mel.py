"""Power mels are torch's product of squares and filters, and so are their gradients."""

import torch

from codeclab.codecs.layers.mel import MelSpectrogram, joined_spectra


def test_the_gradient_of_power_mels_is_pytorchs() -> None:
    mel = MelSpectrogram(16000, 64, 10, "htk", power=2)
    audio = torch.randn(2, 1, 500, requires_grad=True)
    spectrum = mel.stft(audio)
    expected = torch.view_as_real(spectrum).square().flatten(-2) @ mel.filterbank
    mels = mel(audio)
    torch.testing.assert_close(mels, expected)
    gradient = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(one, audio, gradient) for one in (mels, expected))
    torch.testing.assert_close(ours, theirs)


def test_joined_spectra_have_the_gradient_of_each_alone() -> None:
    mels = torch.nn.ModuleList(MelSpectrogram(16000, window, 10, "htk", power=2) for window in (32, 64, 128))
    audio = torch.randn(2, 1, 500, requires_grad=True)
    joined, sizes = joined_spectra(mels, audio)
    assert sizes == [len(mel(audio).flatten()) for mel in mels]
    (ours,) = torch.autograd.grad(joined.log1p().sum(), audio)
    theirs = sum(torch.autograd.grad(mel(audio).log1p().sum(), audio)[0] for mel in mels)
    torch.testing.assert_close(ours, theirs)
