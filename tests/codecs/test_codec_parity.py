"""Encoders, decoders and whole codecs against numbers of the released EnCodec and DAC packages."""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.io.dac import dac_name, dac_tensors
from codeclab.codecs.io.encodec import encodec_tensors
from codeclab.codecs.layers.streaming import pushed_whole
from codeclab.codecs.resample import same_length
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.factorized_vq import FactorizedVQ


def group(tensors, prefix):
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def assert_close(actual, expected, tolerance=1e-5):
    assert actual.shape == expected.shape
    worst = (actual - expected).abs().max().item()
    assert worst <= tolerance * expected.abs().max().item(), worst


def seanet(config):
    shape = {
        name: config[name]
        for name in (
            "channels",
            "dimension",
            "n_filters",
            "n_residual_layers",
            "norm",
            "kernel_size",
            "last_kernel_size",
            "residual_kernel_size",
            "dilation_base",
            "causal",
            "pad_mode",
            "true_skip",
            "compress",
        )
        if name in config
    }
    shape |= {"strides": config["ratios"][::-1], "lstm_layers": config.get("lstm", 2)}
    final = config.get("final_activation", "none").lower()
    decoder = SEANetDecoder(**shape, trim_right_ratio=config.get("trim_right_ratio", 1.0), final_activation=final)
    parts = nn.ModuleDict({"encoder": SEANetEncoder(**shape), "decoder": decoder})
    for module in parts.modules():
        if isinstance(module, nn.ELU):
            module.alpha = config.get("activation_params", {}).get("alpha", 1.0)
    return parts


@pytest.mark.parametrize(
    "case", ["seanet_causal_mono", "seanet_noncausal_stereo", "seanet_short_input", "seanet_variants"]
)
def test_seanet_equals_the_released_one(golden, case):
    tensors, meta = golden(case)
    parts = seanet(meta["config"])
    parts.load_state_dict(encodec_tensors(group(tensors, "param.")))
    audio = tensors["input.audio"].clone().requires_grad_()
    latent = parts["encoder"](audio)
    latent.retain_grad()
    decoded = parts["decoder"](latent)
    assert_close(latent, tensors["output.latent"])
    assert_close(decoded, tensors["output.reconstruction"])
    if "input.loss_weights" not in tensors:
        return
    (decoded * tensors["input.loss_weights"]).mean().backward()
    assert_close(audio.grad, tensors["grad.input.audio"], 1e-4)
    assert_close(latent.grad, tensors["grad.latent"], 1e-4)
    expected = encodec_tensors(group(tensors, "grad.param."))
    own = dict(parts.named_parameters())
    assert expected.keys() <= own.keys()
    assert len(expected) > 30
    # A convolution followed by a norm over its outputs has a bias gradient of nothing but rounding.
    largest = max(value.abs().max().item() for value in expected.values())
    for name, value in expected.items():
        worst = (own[name].grad - value).abs().max().item()
        assert worst <= 1e-4 * value.abs().max().item() + 1e-6 * largest, name


def test_dac_equals_the_released_one(golden):
    tensors, meta = golden("dac_encoder_decoder")
    # In double precision: what is left is the released code's own rounding, on every processor alike.
    tensors = {name: value.double() for name, value in tensors.items()}
    config = meta["config"]
    strides = config["encoder_rates"]
    encoder = DACEncoder(n_filters=config["encoder_dim"], strides=strides, dimension=config["latent_dim"])
    decoder = DACDecoder(config["latent_dim"], n_filters=config["decoder_dim"], strides=strides)
    parts = nn.ModuleDict({"encoder": encoder, "decoder": decoder}).double()
    parts.load_state_dict(dac_tensors(group(tensors, "param."), len(strides)))
    audio, given = (tensors[name].clone().requires_grad_() for name in ("input.audio", "input.latent"))
    latent, decoded = encoder(audio), decoder(given)
    assert_close(latent, tensors["output.latent"])
    assert_close(decoded, tensors["output.audio"])
    loss = (latent * tensors["input.loss_weights_latent"]).mean()
    (loss + (decoded * tensors["input.loss_weights_audio"]).mean()).backward()
    assert_close(audio.grad, tensors["grad.input.audio"], 1e-4)
    assert_close(given.grad, tensors["grad.input.latent"], 1e-4)
    own = dict(parts.named_parameters())
    for name, value in group(tensors, "grad.param.").items():
        assert_close(own[dac_name(name, len(strides))].grad, value, 1e-4)


@pytest.mark.parametrize(
    ("case", "clip", "rates"),
    [
        ("encodec24_whole", "main", [0.45, 0.9, None]),
        ("encodec48_segmented", "main", [0.24, None]),
        ("encodec48_segmented", "exactly_one_segment", [0.24, None]),
    ],
)
def test_whole_encodec_equals_the_released_one(shared, released_codec, case, clip, rates):
    tensors = load_file(shared / "parity" / f"{case}.safetensors")
    config = json.loads((shared / "parity" / f"{case}.json").read_text())["config"]
    parts = seanet(config)
    codec = released_codec(config, parts["encoder"], parts["decoder"], tensors)
    audio = tensors[f"input.audio.{clip}"]
    for rate in rates:
        expected = group(tensors, f"output.{clip}.bw_{'all' if rate is None else rate}.")
        codes = codec.encode(audio, rate)
        assert len(codes.segments) == sum(name.startswith("codes.") for name in expected)
        for index, segment in enumerate(codes.segments):
            assert torch.equal(segment, expected[f"codes.{index}"].long())
            if codes.scales is not None:
                assert_close(codes.scales[index].flatten(1), expected[f"scale.{index}"])
        decoded = codec.decode(codes)
        assert decoded.shape == audio.shape
        assert_close(decoded, expected["decoded"][..., : audio.shape[-1]])


@pytest.mark.parametrize(("case", "fewer"), [("dac44_style", 2), ("dac24_style", 3)])
def test_whole_dac_equals_the_released_one(shared, case, fewer):
    tensors = load_file(shared / "parity" / f"{case}.safetensors")
    config = json.loads((shared / "parity" / f"{case}.json").read_text())["config"]
    strides = config["encoder_rates"]
    encoder = DACEncoder(n_filters=config["encoder_dim"], strides=strides, dimension=config["latent_dim"])
    shape = (config["n_codebooks"], config["codebook_size"], config["codebook_dim"])
    decoder = DACDecoder(encoder.dimension, n_filters=config["decoder_dim"], strides=strides)
    codec = Codec(encoder, FactorizedVQ(encoder.dimension, *shape), decoder, config["sample_rate"]).eval()
    codec.load_state_dict(dac_tensors(group(tensors, "param."), len(strides)))
    audio = tensors["input.audio"]
    for count, key in ((None, "all"), (fewer, f"n{fewer}")):
        codes = codec.encode(audio, n_codebooks=count)
        assert torch.equal(codes.codes, tensors[f"output.{key}.codes"].long())
        expected = tensors[f"output.{key}.audio"]
        decoded = codec.decode(codes)
        assert decoded.shape == audio.shape
        # What the released decoder is short of at odd strides is silence here.
        assert not decoded[..., expected.shape[-1] :].any()
        # Float32 sums differ from one processor to the next by as much as from the released code's; double ones do not.
        latent = codec.quantizer.decode(codes.codes).double()
        exact = copy.deepcopy(codec.decoder).double()
        for sound in (exact(latent), pushed_whole(exact, latent)):
            assert_close(sound[..., : expected.shape[-1]], expected)
            assert_close(decoded, same_length(sound, audio.shape[-1]), 2e-5)
        trained = codec.decoder(codec.quantizer.decode(codes.codes))
        assert_close(codec(audio, count)[0], same_length(trained, audio.shape[-1]))
