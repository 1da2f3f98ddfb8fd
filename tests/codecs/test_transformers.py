"""Codecs read from transformers' folders, against transformers itself and against folders recorded from it."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel

from codeclab.codecs import storage
from codeclab.codecs.codec import Codec
from codeclab.codecs.storage import identity

SMALL_ENCODEC = {
    "num_filters": 2,
    "hidden_size": 8,
    "codebook_dim": 8,
    "codebook_size": 16,
    "upsampling_ratios": [4, 2],
    "num_residual_layers": 2,
    "sampling_rate": 800,
    "target_bandwidths": [0.4, 0.8, 1.6],
}
STEREO = {
    "audio_channels": 2,
    "use_causal_conv": False,
    "norm_type": "time_group_norm",
    "normalize": True,
    "chunk_length_s": 0.5,
    "overlap": 0.04,
}


@pytest.fixture(params=["mono", "stereo"])
def encodec(request):
    model = EncodecModel(EncodecConfig(**SMALL_ENCODEC, **(STEREO if request.param == "stereo" else {}))).eval()
    for name, tensor in model.named_buffers():
        if name.endswith(".embed"):
            tensor.copy_(torch.randn_like(tensor))
        if name.endswith(".inited"):
            tensor.fill_(1)
    return model


def test_an_encodec_model_codes_and_decodes_the_same(encodec, tmp_path):
    encodec.save_pretrained(tmp_path)
    codec = Codec.from_pretrained(tmp_path)
    audio = torch.randn(2, encodec.config.audio_channels, 1009)
    assert codec.bitrates == [0.4, 0.8, 1.6]
    for rate, count in ((0.4, 1), (1.6, 4)):
        with torch.no_grad():
            theirs = encodec.encode(audio, bandwidth=rate)
            decoded = encodec.decode(
                theirs.audio_codes, theirs.audio_scales, last_frame_pad_length=theirs.last_frame_pad_length
            )[0]
        codes = codec.encode(audio, rate)
        assert len(codes.segments) == len(theirs.audio_codes)
        for segment, expected in zip(codes.segments, theirs.audio_codes, strict=True):
            assert segment.shape[1] == count
            assert torch.equal(segment, expected[..., : segment.shape[-1]])  # a short last one is padded with 0 there
        torch.testing.assert_close(codec.decode(codes), decoded[..., :1009], rtol=1e-4, atol=1e-5)


def test_a_dac_model_codes_and_decodes_the_same(tmp_path):
    config = DacConfig(
        encoder_hidden_size=4,
        decoder_hidden_size=16,
        downsampling_ratios=[2, 4],
        n_codebooks=3,
        codebook_size=16,
        codebook_dim=4,
        hop_length=8,
        sampling_rate=800,
    )
    model = DacModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    codec = Codec.from_pretrained(tmp_path)
    audio = torch.randn(2, 1, 800)
    with torch.no_grad():
        theirs = model.encode(audio, n_quantizers=3)
        decoded = model.decode(audio_codes=theirs.audio_codes).audio_values
        latent = model.encoder(audio)
    codes = codec.encode(audio)
    torch.testing.assert_close(codec.encoder(audio), latent, rtol=1e-4, atol=1e-5)
    assert len(codes.codes.unique()) > 4
    assert torch.equal(codes.codes, theirs.audio_codes)
    torch.testing.assert_close(codec.decode(codes)[:, 0], decoded, rtol=1e-4, atol=1e-5)


@pytest.fixture
def recorded(shared):
    def read(name):
        folder = shared / "parity" / name
        return Codec.from_pretrained(folder), load_file(folder / "io.safetensors")

    return read


def test_recorded_dac_folder(recorded):
    codec, tensors = recorded("hf_dac44_style")
    for count in (1, 2, 3, 4):
        codes = codec.encode(tensors["input.audio"], n_codebooks=count)
        assert torch.equal(codes.codes, tensors[f"output.n{count}.codes"].long())
        expected = tensors[f"output.n{count}.decoded"][:, None, :9000]
        torch.testing.assert_close(codec.decode(codes), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["hf_encodec24_style", "hf_encodec48_style"])
def test_recorded_encodec_folders(recorded, name):
    codec, tensors = recorded(name)
    audio = tensors["input.audio"]
    rates = sorted({key.split(".codes")[0] for key in tensors if key.startswith("output.bw") and ".codes" in key})
    assert len(rates) == 3
    for key in rates:
        codes = codec.encode(audio, float(key.removeprefix("output.bw_")))
        for segment, expected in zip(codes.segments, tensors[f"{key}.codes"], strict=True):
            assert torch.equal(segment, expected.long()[..., : segment.shape[-1]])
        for index, scale in enumerate(codes.scales or []):
            torch.testing.assert_close(scale.flatten(1), tensors[f"{key}.scale.{index}"])


def test_a_read_model_is_a_codec_like_any_other(shared, tmp_path):
    codec = Codec.from_pretrained(shared / "parity" / "hf_encodec24_style")
    codec.save(tmp_path)
    again = Codec.from_pretrained(tmp_path)
    assert identity(again) == identity(codec)
    trainable = storage.load(shared / "parity" / "hf_encodec24_style", for_training=True)
    assert any("parametrizations" in name for name in trainable.state_dict())
    assert again.quantizer.codebooks[0].updates == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "of a 'bert' model; read are: encodec, dac"),
        ({"upsampling_ratios": [2, 4, 8, 8]}, "DACDecoder goes up by"),
        ({"hidden_size": 24}, "does not fit the Codec: of another shape"),
        ({"n_codebooks": 3}, "unexpected: quantizer.stages.3"),
    ],
)
def test_folders_that_cannot_be_read(shared, tmp_path, change, message):
    source = shared / "parity" / "hf_dac44_style"
    config = json.loads((source / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    (tmp_path / "model.safetensors").symlink_to(source / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        Codec.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "n_codebooks"}))
    with pytest.raises(ValueError, match="lacks 'n_codebooks'"):
        Codec.from_pretrained(tmp_path)
