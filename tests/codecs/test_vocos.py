"""The frame-rate parts: Vocos' own generator, its causal form, and how they start."""

import pytest
import torch
from torch import Tensor

from codeclab.codecs.layers.initialization import AUDIO_RMS
from codeclab.codecs.layers.inverse_stft import InverseSTFT
from codeclab.codecs.layers.stft import STFT
from codeclab.codecs.spectral import SpectralEncoder
from codeclab.codecs.vocos import VocosDecoder

TWO_RATES = {"dimension": 6, "strides": [8, 4], "n_fft": 32, "hop": 8, "width": 12, "n_blocks": 2}


def vocos_name(name: str) -> str:
    """The name in the vocos package of one of the decoder's tensors."""
    for ours, theirs in {
        "embed.0.convolution": "backbone.embed",
        "embed.1": "backbone.norm",
        "final_norm": "backbone.final_layer_norm",
        "head": "head.out",
        "blocks": "backbone.convnext",
        ".depthwise": ".dwconv",
        ".expand": ".pwconv1",
        ".project": ".pwconv2",
        ".layer_scale": ".gamma",
    }.items():
        name = name.replace(ours, theirs)
    return name


def test_the_decoder_is_the_vocos_packages_generator() -> None:
    heads = pytest.importorskip("vocos.heads", reason="the vocos package is a development dependency")
    from vocos.models import VocosBackbone

    torch.manual_seed(0)
    backbone = VocosBackbone(input_channels=10, dim=24, intermediate_dim=72, num_layers=3)
    head = heads.ISTFTHead(dim=24, n_fft=64, hop_length=16, padding="same")
    reference = torch.nn.ModuleDict({"backbone": backbone, "head": head})
    with torch.no_grad():
        for parameter in reference.parameters():  # far from where either package starts
            parameter.add_(0.3 * torch.randn_like(parameter))
    decoder = VocosDecoder(dimension=10, strides=[16], n_fft=64, width=24, n_blocks=3)
    theirs = reference.state_dict()
    decoder.load_state_dict({name: theirs[vocos_name(name)] for name in decoder.state_dict()})
    latent = torch.randn(2, 10, 21)
    with torch.no_grad():
        expected = head(backbone(latent))
        torch.testing.assert_close(decoder(latent)[:, 0], expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("causal", [False, True])
def test_the_inverse_stft_inverts(causal: bool) -> None:
    audio = torch.randn(2, 3, 160)
    inverse = InverseSTFT(32, 8, causal)
    before = inverse.frames_before * 8 if causal else 12
    padded = torch.nn.functional.pad(audio, (before, 24 if causal else 12))
    spectrum = STFT(32, 8)(padded).transpose(2, 3)
    torch.testing.assert_close(inverse(spectrum), audio, rtol=1e-5, atol=1e-5)


def test_no_sample_of_the_causal_form_sees_a_later_one_than_its_frame() -> None:
    torch.manual_seed(0)
    encoder = SpectralEncoder(**TWO_RATES, causal=True)
    decoder = VocosDecoder(**TWO_RATES, causal=True)
    audio = torch.randn(1, 1, 320)
    changed = audio.clone()
    changed[..., 160:] += 1
    with torch.no_grad():
        before, after = decoder(encoder(audio)), decoder(encoder(changed))
    assert torch.equal(before[..., :160], after[..., :160])
    assert not torch.equal(before[..., 160:192], after[..., 160:192])


def spectrum_of_a_frame(audio: Tensor) -> Tensor:
    return torch.fft.rfft(audio * torch.hann_window(32))


def test_what_the_encoder_sees_of_a_bin() -> None:
    encoder = SpectralEncoder(**TWO_RATES)
    audio = torch.randn(1, 1, 64)
    seen = encoder._features(audio)[0, :, 3]  # its fourth window covers samples 12 to 44
    expected = spectrum_of_a_frame(audio[0, 0, 12:44])
    size = expected.abs()
    by_hand = torch.cat([expected.real / size**0.6, expected.imag / size**0.6, 0.3 * size.log()])
    torch.testing.assert_close(seen, by_hand, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("n_fft", "hop"), [(640, 160), (1280, 320), (512, 256)])
def test_the_decoder_starts_below_the_level_of_audio_and_far_above_silence(n_fft: int, hop: int) -> None:
    torch.manual_seed(0)
    decoder = VocosDecoder(dimension=64, strides=[hop, 2], n_fft=n_fft, hop=hop, width=64, n_blocks=2)
    with torch.no_grad():
        level = float(decoder(torch.randn(2, 64, 25)).square().mean().sqrt())
    assert AUDIO_RMS / 100 < level < AUDIO_RMS


@pytest.mark.parametrize("part", [SpectralEncoder, VocosDecoder])
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"hop": 7}, "hop is 7; it should divide the product of the strides, 320"),
        ({"n_fft": 400}, "n_fft is 400 and the hop between spectra 320; n_fft should be at least 640"),
        ({"width": 0}, "width is 0; it should be at least 1"),
    ],
)
def test_sizes_that_make_no_layers_are_refused(part: type, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        part(**sizes)


def test_a_causal_window_holds_whole_hops() -> None:
    with pytest.raises(
        ValueError, match="window_length is 30 and hop_length 8; window_length should be a multiple of the hop"
    ):
        InverseSTFT(30, 8, causal=True)


def test_loudness_changes_the_latent() -> None:
    torch.manual_seed(0)
    encoder = SpectralEncoder(dimension=8, strides=[160], n_fft=640, width=32, n_blocks=2)
    loud = AUDIO_RMS * torch.randn(4, 1, 8000)
    with torch.no_grad():
        means = [encoder(gain * loud).mean((0, 2)) for gain in (0.5, 2.0)]
        spread = encoder(loud).std((0, 2))
    # Of a linear encoder, noise of any loudness would have the mean zero.
    assert float(((means[1] - means[0]).abs() / spread).max()) > 0.3
