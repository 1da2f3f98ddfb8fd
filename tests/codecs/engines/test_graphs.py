"""Graphs: every layer and quantizer in them computes what it does outside, for other lengths than the example's."""

from unittest.mock import patch

import pytest
import torch
from torch import nn

from codeclab.codecs.engines.graphs import Dequantize, Quantize, check_exportable, example_input, make_graph
from codeclab.codecs.io.weights import folded_copy
from codeclab.codecs.layers.convolution import PaddedConv1d
from codeclab.codecs.layers.inverse_stft import InverseSTFT
from codeclab.codecs.layers.stft import STFT
from codeclab.quantizers.base import ABSENT
from codeclab.quantizers.diffq import DiffQ
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.fsq import FSQ
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.residual_vq import ResidualVQ

QUANTIZERS = {
    "residual": lambda: ResidualVQ(4, 3, 16),
    "factorized": lambda: FactorizedVQ(4, 3, 16, codebook_dim=2),
    "fsq": lambda: FSQ(4, 4, [5, 4], groups=2),
    "fsq_nested": lambda: FSQ(4, 2, [3, 3, 3, 3], residual="nested"),
    "diffq": lambda: DiffQ(4, frame_rate=100.0),
    "gumbel": lambda: GumbelSoftmax(4, 3, 16, choice="argmax"),
}


@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
@pytest.mark.parametrize("causal", [True, False])
def test_padding_that_leaves_the_length_open_is_the_layers_own(pad_mode, causal) -> None:
    for kernel, stride, dilation in [(7, 1, 1), (3, 1, 4), (8, 4, 1), (5, 3, 2), (2, 5, 1)]:
        layer = PaddedConv1d(1, 1, kernel, stride, dilation, causal, "none", pad_mode)
        for length in range(1, 24):
            audio = torch.randn(2, 1, length)
            expected = layer(audio)
            with patch("torch.compiler.is_exporting", return_value=True):
                result = layer(audio)
            torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("window", "n_fft", "hop"), [(16, 16, 4), (15, 15, 5), (12, 20, 3)])
def test_transforms_in_real_numbers(window, n_fft, hop) -> None:
    stft, audio = STFT(window, hop, n_fft=n_fft), torch.randn(3, 2, 100)
    spectrum = stft(audio)
    parts = torch.cat([spectrum.real, spectrum.imag], dim=-1)
    torch.testing.assert_close(stft.exportable()(audio), parts, rtol=0, atol=1e-5)
    if window == n_fft:
        for causal in (False, window % hop == 0):
            inverse = InverseSTFT(window, hop, causal)
            expected = inverse(spectrum.transpose(2, 3))
            torch.testing.assert_close(inverse.exportable()(parts.transpose(2, 3)), expected, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="padding of the STFT is 'centre'; it should be 'none' for an export"):
        STFT(16, 4, "centre").exportable()


def test_a_folded_copy_leaves_the_original_as_it_is() -> None:
    layer = nn.Sequential(PaddedConv1d(2, 2, 3))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    audio = torch.randn(1, 2, 9)
    copied = folded_copy(layer)
    torch.testing.assert_close(copied(audio), layer(audio), rtol=0, atol=0)
    assert list(copied.state_dict()) == ["0.convolution.bias", "0.convolution.weight"]
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    layer(audio).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize("kind", ["seanet", "stereo", "dac", "vocos", "vocos_centred"])
def test_encoders_and_decoders(small, kind) -> None:
    codec = small(kind)
    for part, lengths in ((codec.encoder, (64, 101, 402)), (codec.decoder, (1, 5, 60))):
        example = example_input(part)
        graph = make_graph(part, example).module()
        for items, length in zip((1, 3, 2), lengths, strict=True):
            given = torch.randn(items, example.shape[1], length)
            torch.testing.assert_close(graph(given), part(given), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_quantizers(name) -> None:
    torch.manual_seed(0)
    quantizer = QUANTIZERS[name]().eval()
    count = quantizer.n_codebooks
    encode = make_graph(Quantize(quantizer, count), torch.randn(2, 4, 17)).module()
    decode = make_graph(Dequantize(quantizer), torch.zeros(2, count, 17, dtype=torch.int64)).module()
    for items, length in ((1, 5), (3, 40)):
        latent = torch.randn(items, 4, length)
        codes = quantizer.encode(latent)
        assert torch.equal(encode(latent), codes)
        if not quantizer.learns_rate:
            codes[:, 1:] = ABSENT
        torch.testing.assert_close(decode(codes), quantizer.decode(codes), rtol=0, atol=1e-6)


def test_what_a_graph_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="cannot draw the codes .* at random, as GumbelSoftmax does"):
        check_exportable(GumbelSoftmax(4, 3, 16))

    class Loudest(nn.Module):
        def forward(self, audio):
            return audio * float(audio.max())

    with pytest.raises(ValueError, match="Loudest cannot be exported: "):
        make_graph(Loudest(), torch.randn(2, 1, 10))
