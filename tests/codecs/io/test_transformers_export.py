"""Codecs as transformers' folders: transformers itself loads them, and codes and decodes as they do."""

import inspect
import json
import logging
import math
import re

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.utils import parametrize
from transformers import (
    AutoFeatureExtractor,
    DacConfig,
    DacFeatureExtractor,
    DacModel,
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
)
from transformers.models.encodec.modeling_encodec import EncodecResidualVectorQuantizer

from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.io.transformers_export import ENCODEC_SETTINGS, encodec_bandwidths, to_transformers
from codeclab.codecs.io.transformers_names import length_and_direction
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.residual_vq import ResidualVQ

SMALL = {"dimension": 8, "n_filters": 4, "strides": [2, 4]}
ENCODEC = {
    "causal": ({}, {}, {"bitrates": [0.4, 0.8, 1.6]}),
    "stereo": (
        {"channels": 2, "causal": False, "norm": "time_group_norm"},
        {},
        {"segment": 0.5, "overlap": 0.04, "normalize": True},
    ),
    "other settings": (
        {
            "n_residual_layers": 3,
            "dilation_base": 3,
            "kernel_size": 5,
            "last_kernel_size": 3,
            "residual_kernel_size": 5,
            "compress": 4,
            "true_skip": True,
            "lstm_layers": 1,
            "pad_mode": "constant",
            "strides": [2, 3],
        },
        {"trim_right_ratio": 0.5},
        {},
    ),
    "no norm": ({"norm": "none"}, {}, {"normalize": True}),
    "not causal, trimmed": ({"causal": False}, {"trim_right_ratio": 0.5}, {}),
}
DAC = {
    "mono": ({"strides": [2, 4]}, {"n_filters": 16}, {}),
    "other settings": (
        {"strides": [2, 3, 5], "dimension": 6, "weight_init": "variance_preserving"},
        {"n_filters": 27},
        {"codebook_dim": [3, 3, 3, 3], "kmeans_init": True},
    ),
}


def roughened(codec):
    """The codec in evaluation mode, every tensor moved off its start and codebooks among what they code."""
    with torch.no_grad():
        for tensor in codec.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.randn_like(tensor))
        if isinstance(codec.quantizer, ResidualVQ):
            frames = codec.encoder(torch.randn(1, codec.channels, 2000))[0].T
            for layer, codebook in enumerate(codec.quantizer.codebooks):
                chosen = frames[torch.randperm(len(frames))[: codebook.size]]
                codebook.entries[: len(chosen)] = chosen if layer == 0 else chosen - frames.mean(0)
                codebook.updates.fill_(160)
        else:
            latent = codec.encoder(torch.randn(1, codec.channels, 60 * codec.hop_length))
            for stage in codec.quantizer.stages:
                projected = stage.in_proj(latent)[0].T
                stage.in_proj.bias -= projected.mean(0)
                stage.codebook.weight.copy_(torch.randn_like(stage.codebook.weight) * projected.std(0))
    return codec.eval()


def encodec_codec(shared=None, decoder=None, cut=None, n_codebooks=4, codebook_size=16, sample_rate=800):
    shape = {**SMALL, **(shared or {})}
    quantizer = ResidualVQ(shape["dimension"], n_codebooks, codebook_size)
    parts = (SEANetEncoder(**shape), quantizer, SEANetDecoder(**shape, **(decoder or {})))
    return roughened(Codec(*parts, sample_rate, **(cut or {})))


def dac_codec(encoder=None, decoder=None, quantizer=None, **settings):
    coder = DACEncoder(n_filters=4, **(encoder or {"strides": [2, 4]}))
    vq = FactorizedVQ(coder.dimension, 4, **{"codebook_size": 16, "codebook_dim": 4, **(quantizer or {})})
    decoder = {"n_filters": 16, "channels": coder.channels, **(decoder or {})}
    return roughened(Codec(coder, vq, DACDecoder(coder.dimension, strides=coder.strides, **decoder), 800, **settings))


@pytest.fixture
def exported(tmp_path, caplog):
    """``exported(codec, model_class)``: the model transformers loads from the codec's folder, and the folder."""

    def write(codec, model_class):
        result = to_transformers(codec)
        assert result.model == model_class.__name__
        save_file(result.tensors, tmp_path / "model.safetensors", {"format": "pt"})
        (tmp_path / "config.json").write_text(json.dumps(result.config))
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(result.preprocessor))
        with caplog.at_level(logging.WARNING):
            model, loading = model_class.from_pretrained(tmp_path, output_loading_info=True)
        assert {name: list(problems) for name, problems in loading.items() if problems} == {}
        assert [record.getMessage() for record in caplog.records] == []
        return model.eval(), tmp_path

    return write


@pytest.mark.parametrize("case", ENCODEC)
def test_encodec_model_codes_and_decodes_as_the_codec(exported, case):
    codec = encodec_codec(*ENCODEC[case])
    model, folder = exported(codec, EncodecModel)
    again = Codec.from_pretrained(folder)
    audio = 0.3 * torch.randn(2, codec.channels, 809)
    assert case != "causal" or model.config.target_bandwidths == [0.4, 0.8, 1.6]
    for rate, bandwidth in zip(codec.bitrates, model.config.target_bandwidths, strict=True):
        codes = codec.encode(audio, rate)
        with torch.no_grad():
            theirs = model.encode(audio, bandwidth=bandwidth)
            decoded = model.decode(
                theirs.audio_codes, theirs.audio_scales, last_frame_pad_length=theirs.last_frame_pad_length
            )[0]
        assert len(theirs.audio_codes) == len(codes.segments)
        for ours, segment, read in zip(
            codes.segments, theirs.audio_codes, again.encode(audio, rate).segments, strict=True
        ):
            assert torch.equal(segment[..., : ours.shape[-1]], ours)
            assert torch.equal(read, ours)
        assert len(codes.segments[0].unique()) > 4
        torch.testing.assert_close(decoded[..., :809], codec.decode(codes), rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", DAC)
def test_dac_model_codes_and_decodes_as_the_codec(exported, case):
    codec = dac_codec(*DAC[case])
    model, folder = exported(codec, DacModel)
    again = Codec.from_pretrained(folder)
    audio = 0.3 * torch.randn(2, 1, 30 * codec.hop_length)
    for count in range(1, 5):
        codes = codec.encode(audio, n_codebooks=count)
        with torch.no_grad():
            theirs = model.encode(audio, n_quantizers=count).audio_codes
            decoded = model.decode(audio_codes=theirs).audio_values
        assert torch.equal(theirs, codes.codes)
        assert torch.equal(again.encode(audio, n_codebooks=count).codes, codes.codes)
        assert len(theirs.unique()) > 4
        torch.testing.assert_close(decoded, codec.decode(codes)[:, 0, : decoded.shape[-1]], rtol=0, atol=1e-4)


def effective(model):
    """A model's state dict with weight norm computed: the pairs that make a weight are not unique."""
    result = {name: value for name, value in model.state_dict().items() if "parametrizations" not in name}
    for name, child in model.named_modules():
        if parametrize.is_parametrized(child):
            result[f"{name}.weight"] = child.weight
    return result


THEIR_ENCODEC = {
    "num_filters": 2,
    "hidden_size": 8,
    "codebook_size": 16,
    "upsampling_ratios": [4, 2],
    "sampling_rate": 800,
    "target_bandwidths": [0.4, 1.6],
}
THEIR_STEREO = {
    "audio_channels": 2,
    "use_causal_conv": False,
    "norm_type": "time_group_norm",
    "normalize": True,
    "chunk_length_s": 0.5,
    "overlap": 0.04,
}
THEIR_DAC = {
    "encoder_hidden_size": 4,
    "decoder_hidden_size": 16,
    "downsampling_ratios": [2, 4],
    "n_codebooks": 3,
    "codebook_size": 16,
    "codebook_dim": 4,
    "sampling_rate": 800,
}
THEIRS = {
    "mono": lambda: (
        EncodecModel(EncodecConfig(**THEIR_ENCODEC)),
        EncodecFeatureExtractor(feature_size=1, sampling_rate=800),
    ),
    "stereo": lambda: (
        EncodecModel(EncodecConfig(**THEIR_ENCODEC, **THEIR_STEREO)),
        EncodecFeatureExtractor(feature_size=2, sampling_rate=800, chunk_length_s=0.5, overlap=0.04),
    ),
    "dac": lambda: (DacModel(DacConfig(**THEIR_DAC)), DacFeatureExtractor(sampling_rate=800, hop_length=8)),
}


@pytest.mark.parametrize("case", THEIRS)
def test_a_model_of_transformers_comes_back_as_it_was(exported, tmp_path_factory, case):
    model, extractor = THEIRS[case]()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not name.endswith("inited"):
                tensor.add_(0.1 * torch.randn_like(tensor))
    source = tmp_path_factory.mktemp("theirs")
    model.save_pretrained(source)
    extractor.save_pretrained(source)
    back, folder = exported(Codec.from_pretrained(source), type(model))
    before, after = effective(model), effective(back)
    assert before.keys() == after.keys()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0, msg=f"{name} is another")
    assert dict(back.state_dict()).keys() == dict(model.state_dict()).keys()
    for file in ("config.json", "preprocessor_config.json"):
        theirs, ours = (json.loads((path / file).read_text()) for path in (source, folder))
        theirs.pop("transformers_version", None)
        assert ours == theirs
    assert AutoFeatureExtractor.from_pretrained(folder).to_dict() == extractor.to_dict()


def test_weights_pass_through_weight_norm_bit_for_bit():
    for shape in ((8, 4, 7), (1, 8, 7), (16, 1, 3), (32, 16, 1)):
        weight = 0.1 * torch.randn(shape)
        weight[0] = 0
        length, direction = length_and_direction(weight)
        assert torch.equal(torch._weight_norm(direction, length, 0), weight)


def test_a_bandwidth_takes_as_many_codebooks_there_as_the_bitrate_here():
    for sample_rate, strides, size in ((24000, [2, 4, 5, 8], 1024), (44100, [2, 4, 8, 8], 1024), (16000, [3, 7], 8)):
        hop = math.prod(strides)
        codec = encodec_codec({"strides": strides}, n_codebooks=33, codebook_size=size, sample_rate=sample_rate)
        for bitrates in (None, [codec.bitrate_of(count) * 0.995 for count in (1, 3, 29)]):
            codec.chosen_bitrates = bitrates
            counts = [codec.n_codebooks_for(rate) for rate in codec.bitrates]
            config = EncodecConfig(
                sampling_rate=sample_rate,
                upsampling_ratios=strides[::-1],
                codebook_size=size,
                hidden_size=8,
                target_bandwidths=encodec_bandwidths(codec),
            )
            assert (config.hop_length, config.num_quantizers) == (hop, counts[-1])
            quantizer = EncodecResidualVectorQuantizer(config)
            assert [quantizer.get_num_quantizers_for_bandwidth(one) for one in config.target_bandwidths] == counts


def test_what_differs_is_noted(exported):
    codec = encodec_codec({"strides": [3, 5]}, cut={"bitrates": [0.2133, 0.4267]}, n_codebooks=3)
    notes = to_transformers(codec).notes
    assert notes == [
        "transformers counts 54 frames a second of 53.333: there, bandwidth 0.216, 0.432 stands for "
        "0.2133, 0.4267 kbps",
        "the last 1 codebook is left out: no bitrate the codec offers uses it",
    ]
    model, folder = exported(codec, EncodecModel)
    audio = torch.randn(1, 1, 600)
    codes = model.encode(audio, bandwidth=0.432).audio_codes[0]
    assert torch.equal(codes, codec.encode(audio, 0.4267).codes)
    with pytest.warns(UserWarning, match="kbps takes (1 codebook, and is 0.2133|2 codebooks, and is 0.4267) kbps"):
        again = Codec.from_pretrained(folder)
    assert again.bitrates == pytest.approx([0.21333, 0.42667], rel=1e-4)
    assert torch.equal(again.encode(audio, 0.4267).codes, codes)
    assert to_transformers(encodec_codec()).notes == []


REFUSED = {
    "transformers has no model of SEANetEncoder + FactorizedVQ + SEANetDecoder; it has EncodecModel": lambda: Codec(
        SEANetEncoder(**SMALL), FactorizedVQ(8, 2, 16, 4), SEANetDecoder(**SMALL), 800
    ),
    "the activation of SEANetEncoder is relu": lambda: encodec_codec({"activation": "relu"}),
    "residual_last_kernel_size of SEANetEncoder is 3": lambda: encodec_codec({"residual_last_kernel_size": 3}),
    "lstm_layers is 0": lambda: encodec_codec({"lstm_layers": 0}),
    "channels is 3": lambda: encodec_codec({"channels": 3}),
    "final_activation is tanh": lambda: encodec_codec(decoder={"final_activation": "tanh"}),
    "n_filters is 4 in the encoder and 8 in the decoder": lambda: Codec(
        SEANetEncoder(**SMALL), ResidualVQ(8, 2, 16), SEANetDecoder(**{**SMALL, "n_filters": 8}), 800
    ),
    "the codebook_size is 12": lambda: encodec_codec(codebook_size=12),
    "the activation of DACDecoder is elu": lambda: dac_codec(decoder={"activation": "elu"}),
    "channels is 2": lambda: dac_codec({"strides": [2, 4], "channels": 2}),
    "codebook_dim is [4, 4, 2, 2]": lambda: dac_codec(quantizer={"codebook_dim": [4, 4, 2, 2]}),
    "normalize of FactorizedVQ is false": lambda: dac_codec(quantizer={"normalize": False}),
    "simvq of FactorizedVQ is true": lambda: dac_codec(quantizer={"simvq": True}),
    "segments of 0.5 s": lambda: dac_codec(segment=0.5),
    "normalizes": lambda: dac_codec(normalize=True),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_transformers_cannot_express_is_refused_in_a_line(said):
    codec = REFUSED[said]()
    with pytest.raises(ValueError, match=re.escape(said)) as refusal:
        to_transformers(codec)
    assert "\n" not in str(refusal.value)


def test_a_subclass_may_compute_anything_and_is_refused():
    class Mine(ResidualVQ):
        pass

    codec = Codec(SEANetEncoder(**SMALL), Mine(8, 2, 16), SEANetDecoder(**SMALL), 800)
    with pytest.raises(ValueError, match="has no model of SEANetEncoder [+] Mine [+] SEANetDecoder"):
        to_transformers(codec)


def test_every_setting_of_an_exportable_part_is_thought_of():
    seanet = {
        *ENCODEC_SETTINGS,
        "strides",
        "true_skip",
        "norm",
        "activation",
        "weight_init",
        "residual_last_kernel_size",
    }
    dac = {"dimension", "channels", "n_filters", "strides", "activation", "weight_init"}
    training = {"decay", "epsilon", "kmeans_init", "kmeans_iterations", "dead_threshold", "dead_share", "seed"}
    training |= {"gradient", "commitment"}
    sizes = {"dimension", "n_codebooks", "codebook_size"}
    whole = {"encoder", "quantizer", "decoder", "sample_rate", "bitrates", "segment", "overlap", "normalize"}
    for part, known in {
        SEANetEncoder: seanet,
        SEANetDecoder: seanet | {"trim_right_ratio", "final_activation"},
        ResidualVQ: sizes | training,
        DACEncoder: dac,
        DACDecoder: dac,
        FactorizedVQ: sizes
        | {"codebook_dim", "kmeans_init", "seed", "normalize", "gradient", "simvq", "dead_threshold", "dead_share"},
        Codec: whole,
    }.items():
        assert set(inspect.signature(part).parameters) == known, part
