"""The authors' own files, in the form they released them, and folders of the hub's cache; recorded codes are theirs."""

import json
import pathlib

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file

from codeclab.codecs.codec import Codec
from codeclab.codecs.io.encodec import RELEASED_SIZES
from codeclab.codecs.io.folder import identity
from codeclab.codecs.io.hub import is_hub_id
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ

DOWN = "encoder.model.3.conv.conv.weight_v"
UNIT = "encoder.model.1.block.1.conv.conv.weight_v"
SMALL = {"dimension": 4, "n_filters": 2, "strides": [2, 2]}


def recorded(shared, case):
    tensors = load_file(shared / "parity" / f"{case}.safetensors")
    config = json.loads((shared / "parity" / f"{case}.json").read_text())["config"]
    state = {name.removeprefix("param."): value for name, value in tensors.items() if name.startswith("param.")}
    return state, config, tensors


def write_dac(path, state, config, **other):
    """As the released ``BaseModel.save(path, package=False)`` does."""
    kwargs = {name: value for name, value in config.items() if name not in ("batch", "length")}
    torch.save({"state_dict": state, "metadata": {"kwargs": kwargs | other}}, path)


@pytest.mark.parametrize(("case", "fewer"), [("dac44_style", 2), ("dac24_style", 3)])
def test_a_released_dac_file_gives_the_recorded_codes(shared, tmp_path, case, fewer):
    state, config, tensors = recorded(shared, case)
    write_dac(tmp_path / "weights.pth", state, config)
    codec = Codec.from_pretrained(tmp_path / "weights.pth")
    assert codec.sample_rate == config["sample_rate"]
    for count, key in ((4, "all"), (fewer, f"n{fewer}")):
        codes = codec.encode(tensors["input.audio"], n_codebooks=count)
        assert torch.equal(codes.codes, tensors[f"output.{key}.codes"].long())
        expected = tensors[f"output.{key}.audio"]
        torch.testing.assert_close(codec.decode(codes)[..., : expected.shape[-1]], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("case", "rates"), [("encodec24_whole", [0.45, 0.9, None]), ("encodec48_segmented", [0.24, None])]
)
def test_a_released_encodec_file_gives_the_recorded_codes(shared, tmp_path, case, rates):
    state, config, tensors = recorded(shared, case)
    torch.save(state, tmp_path / "encodec-0123abcd.th")
    with pytest.warns(UserWarning, match="dimension is 12, not 128; n_filters is 2, not 32; 4 codebooks of 64 entries"):
        codec = Codec.from_pretrained(tmp_path / "encodec-0123abcd.th")
    assert codec.sample_rate == {1: 24000, 2: 48000}[config["channels"]]
    codec.sample_rate = config["sample_rate"]  # the tensors do not tell it
    for name in ("segment", "overlap", "normalize"):
        assert getattr(codec, name) == config[f"{name}_seconds" if name == "segment" else name]
    for rate in rates:
        key = f"output.main.bw_{'all' if rate is None else rate}"
        codes = codec.encode(tensors["input.audio.main"], rate)
        for index, segment in enumerate(codes.segments):
            assert torch.equal(segment, tensors[f"{key}.codes.{index}"].long())
        expected = tensors[f"{key}.decoded"][..., : codes.length]
        torch.testing.assert_close(codec.decode(codes), expected, rtol=1e-4, atol=1e-4)


def released_names(codec):
    """Our state dict by the released package's names: written down here apart from the loader's table."""
    result = {}
    for name, tensor in codec.state_dict().items():
        role, rest = name.split(".", 1)
        if role == "quantizer":
            index, kind = rest.removeprefix("codebooks.").split(".")
            theirs = {"entries": "embed", "counts": "cluster_size", "sums": "embed_avg", "updates": "inited"}[kind]
            result[f"quantizer.vq.layers.{index}._codebook.{theirs}"] = (
                tensor.float().reshape(1) if kind == "updates" else tensor
            )
            continue
        stem = (
            "convtr.convtr"
            if role == "decoder" and ".body" not in rest and _is_transposed(codec, rest)
            else "conv.conv"
        )
        rest = rest.replace("layers.", "model.", 1).replace(".body.", ".block.").replace(".skip.", ".shortcut.")
        rest = rest.replace(".convolution.", f".{stem}.").replace(".norm.", f".{stem.split('.')[0]}.norm.")
        rest = rest.replace("parametrizations.weight.original0", "weight_g")
        result[f"{role}.{rest.replace('parametrizations.weight.original1', 'weight_v')}"] = tensor
    return result


def _is_transposed(codec, rest):
    layer = codec.decoder.layers[int(rest.split(".")[1])]
    return type(layer).__name__ == "TrimmedConvTranspose1d"


def mono(n_codebooks=2, size=8, **sizes):
    shape = SMALL | sizes
    quantizer = ResidualVQ(shape["dimension"], n_codebooks, size)
    return Codec(SEANetEncoder(**shape), quantizer, SEANetDecoder(**shape), 24000).eval()


def stereo(n_codebooks=2, size=8, **sizes):
    shape = SMALL | {"channels": 2, "norm": "time_group_norm", "causal": False} | sizes
    quantizer = ResidualVQ(shape["dimension"], n_codebooks, size)
    cut = {"segment": 1.0, "normalize": True}
    return Codec(SEANetEncoder(**shape), quantizer, SEANetDecoder(**shape), 48000, **cut).eval()


@pytest.mark.parametrize(
    "make",
    [
        *(mono, stereo, lambda: mono(strides=[3, 2], n_residual_layers=2, lstm_layers=1, kernel_size=5, compress=1)),
        lambda: mono(n_filters=6, dimension=10, residual_last_kernel_size=3),
        lambda: stereo(n_filters=4, dimension=3, strides=[4], lstm_layers=0),
    ],
)
@pytest.mark.filterwarnings("ignore:.*is not of the released sizes:UserWarning")
def test_sizes_follow_from_the_tensors(make, tmp_path):
    codec = make()
    torch.save(released_names(codec), tmp_path / "model.th")
    loaded = Codec.from_pretrained(tmp_path / "model.th", for_training=True)
    for name in (*RELEASED_SIZES, "channels", "norm", "causal"):
        assert getattr(loaded.encoder, name) == getattr(codec.encoder, name)
    assert loaded.state_dict().keys() == codec.state_dict().keys()
    assert [int(codebook.updates) for codebook in loaded.quantizer.codebooks] == [1, 1]
    audio = torch.randn(1, codec.channels, 400)
    assert torch.equal(loaded.encode(audio).codes, codec.encode(audio).codes)


@pytest.mark.parametrize(
    ("make", "n_codebooks", "rates"), [(mono, 32, [1.5, 3, 6, 12, 24]), (stereo, 16, [3, 6, 12, 24])]
)
def test_the_released_sizes_offer_the_released_bitrates(tmp_path, monkeypatch, make, n_codebooks, rates):
    narrow = {"dimension": 4, "n_filters": 2}  # the released 128 and 32 take seconds
    monkeypatch.setattr("codeclab.codecs.io.encodec.RELEASED_SIZES", RELEASED_SIZES | narrow)
    torch.save(released_names(make(n_codebooks, 1024, strides=[2, 4, 5, 8])), tmp_path / "model.th")
    codec = Codec.from_pretrained(tmp_path / "model.th")
    assert codec.bitrates == rates
    assert codec.n_codebooks_for(6) == n_codebooks * 6 // 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("decoder.model.0.conv.conv.bias"), "missing: decoder.layers.0.convolution.bias"),
        (lambda s: s.update({"decoder.model.99.gate": torch.ones(1)}), "unexpected: decoder.layers.99.gate"),
        (lambda s: s.update({"decoder.model.0.conv.conv.bias": torch.ones(3)}), r"bias is \[3\] instead of \[8\]"),
        (lambda s: s.pop("decoder.model.0.conv.conv.weight_v"), "length without its direction.*decoder.layers.0"),
        (lambda s: s.update({"encoder.model.0.conv.conv.weight_v": torch.ones(2)}), r"weight_v of .* is \[2\]"),
        (lambda s: s.update({"encoder.model.0.conv.conv.weight_v": torch.ones(2, 2, 7)}), "of 2 channels with norm"),
        (lambda s: [s.pop(name) for name in list(s) if "_codebook" in name], "lacks codebooks"),
        (lambda s: [s.pop(name) for name in list(s) if ".block." in name], "lacks convolutions of the encoder"),
        (lambda s: s.update({DOWN: torch.ones(6, 2, 4)}), r"downsampling 1 of .* is \[6, 2, 4\]; a SEANet that begins"),
        (lambda s: s.update({DOWN: torch.ones(4, 2, 3)}), r"has \[4, 2, twice the stride\] there"),
        (lambda s: s.update({UNIT: torch.ones(3, 2, 3)}), "2 residual units, the first of .* for 2 downsamplings"),
        (lambda s: s.update({"epoch": 3}), "should hold tensors by name.*these entries are neither: epoch"),
        (lambda s: [s.pop(name) for name in list(s) if name.startswith("encoder")], "is neither EnCodec's state dict"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*is not of the released sizes:UserWarning")
def test_encodec_files_that_do_not_fit_say_what_differs(tmp_path, change, message):
    state = released_names(mono())
    change(state)
    torch.save(state, tmp_path / "model.th")
    with pytest.raises(ValueError, match=message):
        Codec.from_pretrained(tmp_path / "model.th")


def test_encodec_files_of_other_sizes_say_what_is_assumed(tmp_path):
    torch.save(released_names(mono()), tmp_path / "model.th")
    with pytest.warns(UserWarning, match="padding, which no tensor states, are assumed to be those .* of 24000 Hz"):
        Codec.from_pretrained(tmp_path / "model.th")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"encoder_dim": "wide"}, "encoder_dim in the metadata of .* is 'wide'; it should be a positive whole number"),
        ({"encoder_rates": 4}, "encoder_rates in the metadata of .* is 4; it should be a list"),
        ({"decoder_rates": [2, 2]}, r"downsamples by \[2, 4\] and upsamples by \[2, 2\]"),
        ({"n_codebooks": 2}, "missing: decoder.layers.0.bias, .* and 99 more"),
    ],
)
def test_dac_files_that_do_not_fit_say_what_differs(tmp_path, other, message):
    config = {"encoder_dim": 2, "encoder_rates": [2, 4], "decoder_dim": 8, "decoder_rates": [4, 2]}
    write_dac(tmp_path / "weights.pth", {"encoder.block.0.bias": torch.ones(2)}, config, **other)
    with pytest.raises(ValueError, match=message):
        Codec.from_pretrained(tmp_path / "weights.pth")


def test_a_dac_setting_that_the_released_class_does_not_take(shared, tmp_path):
    state, config, _ = recorded(shared, "dac44_style")
    write_dac(tmp_path / "weights.pth", state, config, colour="red")
    with pytest.warns(UserWarning, match="made with colour, which DAC does not take"):
        trainable = Codec.from_pretrained(tmp_path / "weights.pth", for_training=True)
    assert any("parametrizations" in name for name in trainable.state_dict())
    torch.save({"state_dict": state, "metadata": None}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="should hold the constructor arguments as 'kwargs'"):
        Codec.from_pretrained(tmp_path / "weights.pth")


class Trap:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path("trapped"),)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_run(tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    torch.save(
        {"state_dict": {}, "metadata": {"kwargs": {"sample_rate": Trap()}}},
        "weights.pth",
        _use_new_zipfile_serialization=zipped,
    )
    said = "holds objects of .*pathlib.*which are not loaded" if zipped else "is not a complete file of tensors"
    with pytest.raises(ValueError, match=said) as caught:
        Codec.from_pretrained("weights.pth")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "trapped").exists()


def test_damaged_files_are_named_in_one_line(tmp_path):
    torch.save(released_names(mono()), tmp_path / "whole.th")
    content = (tmp_path / "whole.th").read_bytes()
    for name, wrong in (("cut", content[: len(content) // 2]), ("empty", b""), ("text", b"hello world")):
        (tmp_path / f"{name}.th").write_bytes(wrong)
        with pytest.raises(ValueError, match=f"{name}.th is not a complete file of tensors") as caught:
            Codec.from_pretrained(tmp_path / f"{name}.th")
        assert "\n" not in str(caught.value)
    torch.save([torch.ones(1)], tmp_path / "list.th")
    with pytest.raises(ValueError, match="holds a list where a dict"):
        Codec.from_pretrained(tmp_path / "list.th")


def test_a_wrong_header_is_refused(tmp_path):
    mono().save(tmp_path)
    path = tmp_path / "model.safetensors"
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])
    for lie in ({"shape": [10**9]}, {"data_offsets": [0, 10**12]}):
        lies = json.dumps(
            header | {"encoder.layers.0.convolution.bias": header["encoder.layers.0.convolution.bias"] | lie}
        )
        (tmp_path / "model.safetensors").write_bytes(len(lies).to_bytes(8, "little") + lies.encode() + bytes(5000))
        with pytest.raises(ValueError, match="model.safetensors cannot be read"):
            Codec.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is one file of a codec's folder; give the folder"):
        Codec.from_pretrained(path)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache, as huggingface_hub lays it out, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)

    def add(name):
        folder = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text("0" * 40)
        return folder / "snapshots" / ("0" * 40)

    return add


def test_a_hub_id_is_read_from_the_cache(cache):
    one = mono()
    one.save(cache("owner/small-codec"))
    for name in ("owner/small-codec", pathlib.Path("owner/small-codec")):
        assert identity(Codec.from_pretrained(name)) == identity(one)
    other = mono(n_filters=4)
    other.save(pathlib.Path("owner/small-codec"))
    assert identity(Codec.from_pretrained("owner/small-codec")) == identity(other)  # what is here comes first


def test_a_hub_id_that_cannot_be_had(cache):
    with pytest.raises(
        ValueError, match="facebook/encodec_24khz is not a file or folder here.*hf download.*give DIR"
    ) as caught:
        Codec.from_pretrained("facebook/encodec_24khz")
    assert "\n" not in str(caught.value)
    cache("owner/empty").mkdir(parents=True)
    with pytest.raises(ValueError, match="lacks config.json and model.safetensors"):
        Codec.from_pretrained("owner/empty")
    for path in ("./runs/none", "/runs/none", "none", "a/b/c"):
        assert not is_hub_id(path)
        with pytest.raises(ValueError, match="there is no .*none|none is not a folder|there is no a/b/c"):
            Codec.from_pretrained(path)
