"""Saving and loading: the same codes and audio, errors that name what differs, old folders that still load."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.io import folder as storage
from codeclab.codecs.io import parts
from codeclab.codecs.io.folder import folded_tensors, identity
from codeclab.codecs.io.parts import ROLES, arguments_of, known_parts
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ


def audio_for(codec, samples=257):
    return torch.randn(2, codec.channels, samples)


def small(**settings):
    shape = {"dimension": 4, "n_filters": 2, "strides": [2, 2]}
    return Codec(
        SEANetEncoder(**shape), ResidualVQ(4, 2, 8), SEANetDecoder(**shape), sample_rate=100, **settings
    ).eval()


@pytest.fixture
def folder(tmp_path):
    small().save(tmp_path / "codec")
    return tmp_path / "codec"


def edit_config(folder, change):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def edit_tensors(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_codes_audio_and_identity_survive_bit_for_bit(codec, tmp_path):
    codec.train()
    codec(audio_for(codec))  # codebooks learn: counters and running sums differ from a new codec's
    codec.eval()
    codec.save(tmp_path / "a")
    loaded = Codec.from_pretrained(tmp_path / "a")
    audio = audio_for(codec)
    codes, again = codec.encode(audio), loaded.encode(audio)
    assert all(torch.equal(one, other) for one, other in zip(codes.segments, again.segments, strict=True))
    assert torch.equal(codec.decode(codes), loaded.decode(again))
    assert identity(codec) == identity(loaded)
    assert not loaded.training
    loaded.save(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["config.json", "model.safetensors"]


def test_what_is_written_is_plain(codec, tmp_path):
    codec.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    assert not [name for name in tensors if "parametrizations" in name or "_orig_mod" in name]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["format_version"] == 1
    for role in ROLES:
        part = getattr(codec, role)
        assert config[role]["name"] == type(part).__name__
        assert config[role]["arguments"] == arguments_of(part)
    assert config["sample_rate"] == codec.sample_rate
    assert config["bitrates"] == codec.chosen_bitrates


def test_loading_for_training_restores_weight_norm(codec, tmp_path):
    codec.save(tmp_path)
    loaded = storage.load(tmp_path, for_training=True)
    assert loaded.state_dict().keys() == codec.state_dict().keys()
    audio = audio_for(codec)
    torch.testing.assert_close(loaded(audio)[0], codec(audio)[0], rtol=1e-4, atol=1e-5)


def test_a_run_folder_means_its_codec(folder, tmp_path):
    (tmp_path / "config.yaml").write_text("a: run")
    assert identity(Codec.from_pretrained(tmp_path)) == identity(Codec.from_pretrained(folder))


@pytest.mark.parametrize(
    "change",
    [
        lambda codec: setattr(codec, "sample_rate", 200),
        lambda codec: setattr(codec, "segment", 1.0),
        lambda codec: setattr(codec, "overlap", 0.5),
        lambda codec: setattr(codec, "normalize", True),
        lambda codec: next(codec.decoder.parameters()).data.mul_(1.001),
    ],
)
def test_identity_tells_what_changes_decoding(change):
    codec = small()
    before = identity(codec)
    assert before == identity(codec)
    change(codec)
    assert identity(codec) != before


def test_offered_bitrates_do_not_change_identity():
    torch.manual_seed(0)
    one = small()
    torch.manual_seed(0)
    assert identity(one) == identity(small(bitrates=[0.075]))


@pytest.mark.parametrize("role", list(ROLES))
def test_every_part_keeps_its_arguments(role):
    parts = {name: part for name, part in known_parts(role).items() if part.__module__.startswith("codeclab.")}
    assert parts
    for part in parts.values():
        stored = arguments_of(part())
        rebuilt = part(**json.loads(json.dumps(stored)))
        assert arguments_of(rebuilt) == stored


def test_no_folder_and_missing_files_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="there is no .*nowhere; .* holds: codec"):
        Codec.from_pretrained(tmp_path / "nowhere")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="lacks model.safetensors"):
        Codec.from_pretrained(folder)
    (folder / "config.yaml").touch()
    with pytest.raises(ValueError, match="this run has not saved a codec yet; repeat its command to finish it"):
        Codec.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format_version=2), "format_version 2; this codeclab reads up to 1"),
        (lambda c: c.pop("format_version"), "no format_version"),
        (lambda c: c.pop("overlap"), "lacks overlap"),
        (lambda c: c.update(encoder="SEANetEncoder"), "should have a name and arguments"),
        (lambda c: c["encoder"].update(name="os.system"), "no encoder is called 'os.system'.*SEANetEncoder"),
        (lambda c: c["encoder"].update(name="ResidualVQ"), "no encoder is called 'ResidualVQ'"),
        (lambda c: c["encoder"]["arguments"].update(depth=3), "depth.*it takes dimension"),
        (lambda c: c["encoder"]["arguments"].update(n_filters=4), r"is \[2, 1, 7\] instead of \[4, 1, 7\]"),
        (lambda c: c["encoder"]["arguments"].update(lstm_layers=0), "unexpected: .*lstm.bias_hh_l0"),
        (lambda c: c["encoder"]["arguments"].update(lstm_layers=3), "missing: .*lstm.bias_hh_l2"),
    ],
)
def test_configs_that_do_not_fit_are_refused(folder, change, message):
    edit_config(folder, change)
    with pytest.raises(ValueError, match=message):
        Codec.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("quantizer.codebooks.1.updates"), "quantizer.*missing: codebooks.1.updates"),
        (lambda t: t.update({"encoder.more": torch.ones(1)}), "unexpected: more"),
        (lambda t: t.update({"discriminator.weight": torch.ones(1)}), "no part: discriminator.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_named(folder, change, message):
    edit_tensors(folder, change)
    with pytest.raises(ValueError, match=message):
        Codec.from_pretrained(folder)


def test_a_damaged_file_is_named(folder):
    (folder / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(ValueError, match="model.safetensors cannot be read"):
        Codec.from_pretrained(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is not JSON"):
        Codec.from_pretrained(folder)


def test_a_failed_save_leaves_the_old_files(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(storage, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        small().save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


class Own(Encoder):
    """The user's own."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.dimension, self.channels, self.strides, self.hop_length = 4, 1, [2, 2], 4
        self.gain = gain
        self.mix = nn.Conv1d(1, 4, 4, 4)

    def forward(self, audio):
        return self.gain * self.mix(nn.functional.pad(audio, (0, -audio.shape[-1] % 4)))


class Forgetful(Own):
    def __init__(self, depth: int = 2) -> None:
        super().__init__()


def test_own_parts_by_parts_or_import(tmp_path):
    shape = {"dimension": 4, "n_filters": 2, "strides": [2, 2]}
    codec = Codec(Own(gain=0.5), ResidualVQ(4, 2, 8), SEANetDecoder(**shape), sample_rate=100).eval()
    codec.save(tmp_path / "own")
    audio = audio_for(codec)
    for given in ((), (Own,)):
        loaded = Codec.from_pretrained(tmp_path / "own", parts=given)
        assert loaded.encoder.gain == 0.5
        assert torch.equal(loaded.encode(audio).codes, codec.encode(audio).codes)
    codec.encoder = Forgetful()
    with pytest.raises(ValueError, match="Forgetful does not keep its argument 'depth'"):
        codec.save(tmp_path / "forgetful")
    assert not (tmp_path / "forgetful").exists()


def test_two_classes_of_one_name_need_parts():
    impostor = type("Own", (Own,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="two classes are called Own"):
        known_parts("encoder")
    assert known_parts("encoder", parts=[impostor])["Own"] is impostor
    assert known_parts("encoder", parts=[Own])["Own"] is Own


def test_former_names_still_load(folder, monkeypatch):
    now = identity(Codec.from_pretrained(folder))

    def to_former_config(config):
        config["encoder"]["name"] = "SeanetEncoder"
        config["encoder"]["arguments"]["ratios"] = config["encoder"]["arguments"].pop("strides")

    def to_former_tensors(tensors):
        for name in [name for name in tensors if name.startswith("encoder.layers.")]:
            tensors[name.replace("encoder.layers.", "encoder.model.")] = tensors.pop(name)

    edit_config(folder, to_former_config)
    edit_tensors(folder, to_former_tensors)
    monkeypatch.setitem(parts.RENAMED_PARTS, "SeanetEncoder", "SEANetEncoder")
    monkeypatch.setitem(parts.RENAMED_ARGUMENTS, "SEANetEncoder", {"ratios": "strides"})
    with pytest.raises(ValueError, match="unexpected: .*model"):
        Codec.from_pretrained(folder)
    monkeypatch.setitem(parts.RENAMED_TENSORS, "SEANetEncoder", {"model.": "layers."})
    assert identity(Codec.from_pretrained(folder)) == now


def test_folded_weights_are_those_computed_with():
    for part in (DACEncoder(n_filters=2, strides=[2]), DACDecoder(4, n_filters=4, strides=[2])):
        first = next(module for module in part.modules() if isinstance(module, nn.Conv1d))
        first.parametrizations.weight.original0.data.mul_(3)
        assert torch.equal(folded_tensors(part)["layers.0.weight"], first.weight)


def test_roles_are_those_of_the_contract():
    assert (ROLES["encoder"], ROLES["decoder"]) == (Encoder, Decoder)


def test_a_moved_folder_loads(folder, tmp_path):
    shutil.move(folder, tmp_path / "elsewhere")
    assert Codec.from_pretrained(tmp_path / "elsewhere").sample_rate == 100
