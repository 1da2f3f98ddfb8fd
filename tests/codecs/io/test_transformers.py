"""Codecs read from transformers' folders, against transformers itself and against folders recorded from it."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel

from codeclab.codecs.codec import Codec
from codeclab.codecs.io import folder as storage
from codeclab.codecs.io.folder import identity

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


LARGER = {
    "num_filters": 4,
    "hidden_size": 12,
    "codebook_dim": None,
    "codebook_size": 64,
    "upsampling_ratios": [5, 2, 3],
    "num_residual_layers": 1,
    "use_conv_shortcut": False,
    "pad_mode": "constant",
    "num_lstm_layers": 1,
    "sampling_rate": 6000,
    "target_bandwidths": [1.2, 3.6],
}
ENCODEC = {
    "mono": SMALL_ENCODEC,
    "stereo": SMALL_ENCODEC | STEREO,
    "larger mono": LARGER,
    "larger stereo": LARGER | STEREO | {"chunk_length_s": 0.05},
}
SMALL_DAC = {
    "encoder_hidden_size": 4,
    "decoder_hidden_size": 16,
    "downsampling_ratios": [2, 4],
    "n_codebooks": 3,
    "codebook_size": 16,
    "codebook_dim": 4,
    "sampling_rate": 800,
}
DAC = {
    "even": SMALL_DAC,
    "odd": SMALL_DAC | {"downsampling_ratios": [2, 5, 3], "decoder_hidden_size": 24, "n_codebooks": 2},
}


def encodec_model(settings):
    torch.manual_seed(0)
    model = EncodecModel(EncodecConfig(**settings)).eval()
    with torch.no_grad():
        left = model.encoder(torch.randn(1, model.config.audio_channels, 3000))[0].T
    for name, tensor in model.named_buffers():
        if name.endswith(".embed"):
            # Entries like what is left to code, so that codes differ from frame to frame.
            tensor.copy_(left[torch.randperm(left.shape[0])[: tensor.shape[0]]])
            left = left - left.mean(0) if name.startswith("quantizer.layers.0.") else left / 2
        if name.endswith(".inited"):
            tensor.fill_(1)
    return model


def dac_model(settings):
    torch.manual_seed(0)
    model = DacModel(DacConfig(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("name", list(ENCODEC))
def test_an_encodec_model_codes_and_decodes_the_same(name, tmp_path):
    model = encodec_model(ENCODEC[name])
    model.save_pretrained(tmp_path)
    codec = Codec.from_pretrained(tmp_path)
    audio = torch.randn(2, model.config.audio_channels, 1009)
    assert codec.bitrates == ENCODEC[name]["target_bandwidths"]
    for rate in codec.bitrates:
        with torch.no_grad():
            theirs = model.encode(audio, bandwidth=rate)
            decoded = model.decode(
                theirs.audio_codes, theirs.audio_scales, last_frame_pad_length=theirs.last_frame_pad_length
            )[0]
        codes = codec.encode(audio, rate)
        assert len(codes.segments) == len(theirs.audio_codes)
        for segment, expected in zip(codes.segments, theirs.audio_codes, strict=True):
            assert torch.equal(segment, expected[..., : segment.shape[-1]])  # a short last one is padded with 0 there
        torch.testing.assert_close(codec.decode(codes), decoded[..., :1009], rtol=1e-4, atol=1e-4)
    assert all(len(codebook.unique()) > 4 for codebook in codes.segments[0][0])
    assert (len(codes.segments) > 1) == (codec.segment is not None)


@pytest.mark.parametrize("name", list(DAC))
def test_a_dac_model_codes_and_decodes_the_same(name, tmp_path):
    model = dac_model(DAC[name])
    model.save_pretrained(tmp_path)
    codec = Codec.from_pretrained(tmp_path)
    audio = torch.randn(2, 1, 30 * codec.hop_length)
    assert len(codec.bitrates) == DAC[name]["n_codebooks"]
    for count, rate in enumerate(codec.bitrates, start=1):
        with torch.no_grad():
            theirs = model.encode(audio, n_quantizers=count)
            decoded = model.decode(audio_codes=theirs.audio_codes).audio_values
        codes = codec.encode(audio, rate)
        assert torch.equal(codes.codes, theirs.audio_codes)
        ours = codec.decode(codes)[:, 0, : decoded.shape[-1]]
        torch.testing.assert_close(ours, decoded, rtol=1e-4, atol=1e-4)
    assert len(codes.codes.unique()) > 4


@pytest.mark.parametrize("name", [*ENCODEC, *DAC])
def test_batch_mates_leave_an_items_codes(name, tmp_path):
    """Mates of its length change nothing; silence up to a longer one's end nothing in whole segments and frames."""
    (encodec_model(ENCODEC[name]) if name in ENCODEC else dac_model(DAC[name])).save_pretrained(tmp_path)
    codec = Codec.from_pretrained(tmp_path)
    length = 60 * codec.hop_length + 3
    audio, mate = torch.randn(1, codec.channels, length), torch.randn(1, codec.channels, length + 100)
    alone = codec.encode(audio).segments
    for segment, expected in zip(codec.encode(torch.cat([audio, mate[..., :length]])).segments, alone, strict=True):
        assert torch.equal(segment[:1], expected)
    padded = codec.encode(torch.cat([torch.nn.functional.pad(audio, (0, 100)), mate])).segments
    if codec.segment is not None:
        whole = (length - int(codec.segment * codec.sample_rate)) // codec.segments.stride + 1
        assert whole >= 1
        assert all(torch.equal(segment[:1], expected) for segment, expected in zip(padded[:whole], alone, strict=False))
        return
    frames = 60 if name in ENCODEC else 30  # DAC's frames see later audio
    assert torch.equal(padded[0][:1, :, :frames], alone[0][..., :frames])


def test_a_folder_in_torchs_own_format(tmp_path):
    model = encodec_model(SMALL_ENCODEC)
    model.save_pretrained(tmp_path / "new")
    model.config.save_pretrained(tmp_path / "old")
    # As transformers wrote until 2023: torch's format, and weight norm by its former names.
    former = {
        name.replace(".parametrizations.weight.original0", ".weight_g").replace(
            ".parametrizations.weight.original1", ".weight_v"
        ): tensor
        for name, tensor in model.state_dict().items()
    }
    assert any(name.endswith("weight_g") for name in former)
    torch.save(former, tmp_path / "old" / "pytorch_model.bin")
    old = Codec.from_pretrained(tmp_path / "old")
    assert identity(old) == identity(Codec.from_pretrained(tmp_path / "new"))
    (tmp_path / "old" / "pytorch_model.bin").write_bytes(b"half a file")
    with pytest.raises(ValueError, match="pytorch_model.bin is not a complete file"):
        Codec.from_pretrained(tmp_path / "old")


def test_training_goes_on_from_the_codebooks(tmp_path):
    model = encodec_model(SMALL_ENCODEC)
    for name, tensor in model.named_buffers():
        if name.endswith(".inited"):
            tensor.fill_(0)
    model.save_pretrained(tmp_path)
    codec = Codec.from_pretrained(tmp_path, for_training=True).train()
    before = codec.quantizer.codebooks[0].entries.clone()
    assert any("parametrizations" in name for name in codec.state_dict())
    assert [int(codebook.updates) for codebook in codec.quantizer.codebooks] == [1, 1, 1, 1]
    generator = torch.Generator().manual_seed(1)
    codec.quantizer.codebooks[0].start(torch.randn(40, 8, generator=generator), 1)
    assert torch.equal(codec.quantizer.codebooks[0].entries, before)


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
        if f"{key}.decoded" in tensors:
            expected = tensors[f"{key}.decoded"][..., : audio.shape[-1]]
            torch.testing.assert_close(codec.decode(codes), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


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
        ({"model_type": "bert"}, "of a 'bert' model; supported are: encodec, dac"),
        ({"upsampling_ratios": [2, 4, 8, 8]}, "DACDecoder upsamples by"),
        ({"hidden_size": 24}, "does not fit the Codec: of another shape"),
        ({"n_codebooks": 3}, "unexpected: quantizer.stages.3"),
        ({"n_codebooks": "many"}, "a setting of another type"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pad_mode": "replicate"}, "pad_mode of the model is 'replicate'; SEANet's here is one of: reflect, constant"),
        ({"norm_type": "layer_norm"}, "norm_type of the model is 'layer_norm'"),
        ({"codebook_dim": 6}, "codebook_dim of the model is 6 and hidden_size 8"),
        (
            {"num_filters": 4},
            r"decoder.layers.0.convolution.weight is \[8, 8, 7\] instead of \[16, 8, 7\]",
        ),
    ],
)
def test_encodec_settings_that_our_parts_lack(tmp_path, change, message):
    encodec_model(SMALL_ENCODEC).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=message):
        Codec.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "true"),
    [
        # 100 frames/s of 4 bits: 0.4 kbps a codebook, so that 1 and 1.5 kbps are two and three of them.
        ({"target_bandwidths": [0.2, 1.0, 1.5]}, [0.4, 0.8, 1.2]),
        # 750 / 8 = 93.75 frames/s, counted as 94: 0.376 kbps a codebook there, 0.375 here.
        ({"sampling_rate": 750, "target_bandwidths": [0.376, 1.0, 1.504]}, [0.375, 0.75, 1.5]),
        # 16 / 12.5: twelve and a half frames a second are counted as 13.
        ({"sampling_rate": 100, "target_bandwidths": [0.052, 0.11, 0.208]}, [0.05, 0.1, 0.2]),
    ],
)
def test_bandwidths_that_codebooks_do_not_divide_are_rounded_down_as_the_reference_does(tmp_path, change, true):
    model = encodec_model(SMALL_ENCODEC | change)
    model.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"bandwidth of [\d.]+ kbps takes \d codebooks?, and is [\d.]+ kbps") as warned:
        codec = Codec.from_pretrained(tmp_path)
    assert codec.bitrates == pytest.approx(true)
    pairs = list(zip(change["target_bandwidths"], true, strict=True))
    other = [f"bandwidth of {name:g} kbps" for name, rate in pairs if abs(name - rate) > 0.01 * name]
    assert [next(name for name in other if name in str(one.message)) for one in warned] == other
    audio = torch.randn(1, 1, 200)
    for bandwidth, rate in pairs:
        with torch.no_grad():
            theirs = model.encode(audio, bandwidth=bandwidth).audio_codes[0]
        assert torch.equal(codec.encode(audio, bandwidth).codes, theirs)  # by the folder's own name for it
        assert torch.equal(codec.encode(audio, rate).codes, theirs)
        assert codec.encode(audio, rate * 1.004).codes.shape == theirs.shape


def test_a_dac_tensor_of_no_layer_is_named(tmp_path):
    model = dac_model(SMALL_DAC)
    model.config.save_pretrained(tmp_path)
    save_file(dict(model.state_dict()) | {"encoder.gate.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="unexpected: encoder.gate.weight"):
        Codec.from_pretrained(tmp_path)
