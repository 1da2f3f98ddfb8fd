"""From what the user typed to what the parser reads."""

import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from codeclab.experiments.config.files import RECIPES, RecipeError
from codeclab.experiments.config.flags import Request, read_request
from codeclab.experiments.config.messages import explain, shorten
from codeclab.experiments.config.own_code import import_file
from codeclab.experiments.config.parts import LINKED, all_slots, find_part, subclasses
from codeclab.experiments.config.words import make_parser, read_words
from codeclab.experiments.train.losses.waveform import WaveformL1

RECIPE = ["--config", "encodec_24khz"]


def request(*words: str) -> Request:
    return parse(*RECIPE, *words)


def parse(*words: str) -> Request:
    return read_request(read_words(words))


def test_the_short_forms_are_written_out_and_argv_is_left_alone() -> None:
    words = [*RECIPE, "--data", "sounds", "--scale", "mini", "--dry-run", "--compile"]
    before, typed = list(sys.argv), list(words)
    parsed = parse(*words)
    assert parsed.recipe == "encodec_24khz"
    assert parsed.scale == "mini"
    assert parsed.dry_run
    assert parsed.settings["data"]["folder"] == "sounds"
    assert parsed.settings["model"]["compile"] == "true"
    assert parsed.explicit == {"data.folder", "model.compile"}
    assert (sys.argv, words) == (before, typed)


def test_the_usual_number_of_batches_is_the_recipes_or_the_scales(tmp_path: Path) -> None:
    assert request().steps == 600_000
    assert request("--trainer.max_steps", "3").steps == 600_000
    assert request("--scale", "lab", "--trainer.max_steps", "3").steps == 5000
    assert request("--scale", "paper").steps == 600_000
    (tmp_path / "mine.yaml").write_text("trainer: {max_steps: 7}")
    assert request("--config", str(tmp_path / "mine.yaml")).steps == 7


def test_both_ways_of_writing_a_value() -> None:
    words = ["--a", "1", "--b=2", "--c+=x=y", "--d", "-3", "--e", "-1e-3", "--scal", "mini"]
    parsed = read_words(["--config", "one", *words, "--config=two"])
    given = [("a", "1"), ("b", "2"), ("c+", "x=y"), ("d", "-3"), ("e", "-1e-3"), ("scal", "mini")]
    assert parsed.settings == given
    assert (parsed.configs, parsed.scale, parsed.dry_run) == (["one", "two"], None, False)


def test_the_commands_own_options_are_explained() -> None:
    text = make_parser("test").format_help()
    for flag in (
        "--config NAME",
        "--scale NAME",
        "--init PATH_OR_ID",
        "--data FOLDER",
        "--import FILE.py",
        "--compile",
    ):
        assert f"  {flag} " in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scale", "tiny"], "no scale 'tiny'; there are: lab, laptop, mini, paper"),
        (["--model.quantizer"], "--model.quantizer needs a value"),
        (["--data", "--scale"], "--data needs a value"),
        (["mini"], "'mini' is not a flag: flags begin with --"),
        (["-x"], "'-x' is not a flag: flags begin with --"),
        (["--name="], "--name needs a value, as in --name VALUE"),
        (["--scale"], "--scale needs a value, as in --scale VALUE"),
        (["--dry-run=yes"], "--dry-run takes no value"),
        (["--model.sample_rate.x", "3"], "there is no --model.sample_rate.x: --model.sample_rate is 24000"),
        (["--model.discriminators", "[]", "--model.discriminators.n_filters", "3"], "no discriminators; give --"),
        (["--model", "mine"], "model should hold settings by their names; it is 'mine'"),
        (["--model.quantizer", "FactorisedVQ"], r"no quantizer 'FactorisedVQ' \(did you mean FactorizedVQ\?\); there"),
        (["--model.quantizer", "SEANetEncoder"], "no quantizer 'SEANetEncoder'"),
        (["--model.quantizer", "torch.nn.Linear"], "no quantizer 'torch.nn.Linear'; there are: .*ResidualVQ"),
        (["--model.discriminators+=MSD"], "no discriminators 'MSD'.*MultiScaleDiscriminator"),
        (["--model.discriminators", "MultiScaleDiscriminator"], "is a list: write .*'\\[MultiScaleDiscriminator\\]'"),
        (["--model.quantizer.codebooks", "8"], r"ResidualVQ takes no argument 'codebooks'.*it takes: n_codebooks, "),
        (["--model.encoder", "{class_path: DACEncoder, init_args: {lstm_layers: 1}}"], "DACEncoder takes no argument"),
        (["--model.encoder", "{class_path: DACEncoder"], "is not YAML"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_with_what_would_work(words: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refusal:
        request(*words)
    assert "\n" not in str(refusal.value)


def test_a_recipe_is_asked_for_and_an_unknown_one_refused() -> None:
    with pytest.raises(
        RecipeError, match="no recipe was given; add --config NAME.*dac_44khz, dac_44khz_16kbps, .*encodec_24khz"
    ):
        parse("--scale", "mini")
    with pytest.raises(RecipeError, match=r"no recipe 'encodec' \(did you mean encodec_24khz\?\); there are: dac_"):
        parse("--config", "encodec")


@pytest.mark.parametrize("setting", LINKED)
def test_a_value_for_a_setting_that_follows_another_is_refused(setting: str, tmp_path: Path) -> None:
    swap = ["--model.quantizer", "DiffQ"] if setting == "model.quantizer.frame_rate" else []
    with pytest.raises(RecipeError, match=f"--{setting} follows .*set --"):
        request(*swap, f"--{setting}", "64")
    if setting.count(".") == 1:
        section, name = setting.split(".")
        text = {section: {name: 64}}
    else:
        section, slot, name = setting.split(".")
        part = {"quantizer": "DiffQ", "decoder": "DACDecoder", "spectral_loss": "MultiScaleMelLoss"}[slot]
        text = {section: {slot: {"class_path": part, "init_args": {name: 64}}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(text))
    with pytest.raises(RecipeError, match=f"--{setting} follows "):
        parse("--config", str(tmp_path / "own.yaml"))


def test_every_linked_setting_exists() -> None:
    known = all_slots()
    for setting in LINKED:
        slot, _, argument = setting.rpartition(".")
        if slot in known:
            assert any(argument in part.__init__.__code__.co_varnames for part in subclasses(known[slot]).values())


def test_a_swap_takes_over_what_all_parts_share_and_says_what_it_leaves_out() -> None:
    parsed = request("--model.decoder", "DACDecoder", "--model.quantizer", "FactorizedVQ")
    model = parsed.settings["model"]
    # SEANet's n_filters counts at its widest rate, DAC's at its narrowest: one name, another meaning.
    assert model["decoder"]["init_args"] == {"channels": 1, "strides": [2, 4, 5, 8]}
    assert model["quantizer"]["init_args"] == {"n_codebooks": 32, "codebook_size": 1024}
    assert parsed.swapped == {"model.decoder", "model.quantizer"}
    assert [line.split(";")[0] for line in parsed.dropped] == ["decoder is DACDecoder", "quantizer is FactorizedVQ"]
    assert parsed.dropped[1].endswith(
        "; these arguments of the recipe's ResidualVQ do not apply to it: decay, kmeans_init"
    )


def test_naming_the_part_that_is_there_already_changes_nothing() -> None:
    parsed = request("--model.quantizer", "ResidualVQ")
    assert parsed.settings == request().settings
    assert not parsed.dropped
    assert not parsed.swapped


def test_an_argument_may_stand_before_the_part_it_is_for() -> None:
    parsed = request("--model.quantizer.codebook_dim", "4", "--model.quantizer", "FactorizedVQ")
    quantizer = parsed.settings["model"]["quantizer"]
    assert quantizer["class_path"] == "codeclab.quantizers.factorized_vq.FactorizedVQ"
    assert quantizer["init_args"]["codebook_dim"] == "4"


def test_flags_speak_for_whole_dotted_paths_and_for_the_last_of_a_list() -> None:
    parsed = request("--model.discriminators+=MSSTFTDiscriminator", "--model.discriminators.n_filters", "6",
                    "--model.encoder", "{class_path: DACEncoder, init_args: {n_filters: 6}}",
                    "--model.optimizer.lr", "1")  # fmt: skip
    arguments = {"model.discriminators[1].n_filters", "model.encoder.n_filters", "model.optimizer.lr"}
    assert parsed.explicit == {"model.encoder", *arguments}


def test_an_argument_is_of_the_part_appended_before_it() -> None:
    words = "--model.discriminators [] --model.discriminators+=MSSTFTDiscriminator --model.discriminators.n_filters 6"
    words += " --model.discriminators+=MultiPeriodDiscriminator --model.discriminators.n_filters 10"
    parsed = parse(*RECIPE, "--scale", "laptop", *words.split())
    one, other = parsed.settings["model"]["discriminators"]
    assert (one["init_args"]["n_filters"], other["init_args"]["n_filters"]) == ("6", "10")
    assert {"model.discriminators[0].n_filters", "model.discriminators[1].n_filters"} <= parsed.explicit
    # Without a second part behind it, an argument may stand anywhere; and a list that follows replaces all.
    later = parse(*RECIPE, "--model.discriminators.n_filters", "6", "--model.discriminators", "[MSSTFTDiscriminator]")
    assert later.settings["model"]["discriminators"][0]["init_args"] == {"n_filters": "6"}
    words = "--model.discriminators+=MSSTFTDiscriminator --model.discriminators.n_filters 6"
    words += " --model.discriminators+=MSSTFTDiscriminator --model.discriminators [MultiPeriodDiscriminator]"
    (only,) = parse(*RECIPE, *words.split()).settings["model"]["discriminators"]
    assert only["class_path"].endswith("MultiPeriodDiscriminator")


def test_one_setting_of_a_group_leaves_the_others_whether_the_recipe_has_the_group_or_not() -> None:
    parsed = request("--config", "dac_44khz", "--model.discriminator_optimizer.lr", "0.25")
    before = parse("--config", "dac_44khz").settings["model"]["discriminator_optimizer"]
    assert parsed.settings["model"]["discriminator_optimizer"] == {**before, "lr": "0.25"}
    assert "model.discriminator_optimizer.lr" in parsed.explicit
    assert "discriminator_optimizer" not in request().settings["model"]
    parsed = request("--model.discriminator_optimizer.lr", "0.25")
    shared = request().settings["model"]["optimizer"]  # the generator's, which the discriminators would have had
    assert parsed.settings["model"]["discriminator_optimizer"] == {**shared, "lr": "0.25"}


def test_a_group_may_be_given_whole_in_a_flag_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "optimizer.yaml").write_text("lr: 0.25")
    (tmp_path / "model.yaml").write_text("quantizer: FactorizedVQ\nsample_rate: 16000")
    before = request().settings["model"]
    for value in ("{lr: 0.25}", str(tmp_path / "optimizer.yaml")):
        parsed = request("--model.optimizer", value, "--model.optimizer.name", "AdamW").settings["model"]
        assert parsed["optimizer"] == {**before["optimizer"], "lr": 0.25, "name": "AdamW"}
    parsed = request("--model", str(tmp_path / "model.yaml"))
    assert parsed.settings["model"]["sample_rate"] == 16000
    assert parsed.swapped == {"model.quantizer"}


def test_a_list_gets_one_more() -> None:
    before = request().settings["model"]
    parsed = request("--model.bitrates+=1e-1", "--model.decoder.strides+=[3,4]", "--init_parts+=encoder").settings
    assert parsed["model"]["bitrates"] == [*before["bitrates"], 0.1]
    assert parsed["model"]["decoder"]["init_args"]["strides"] == [*before["decoder"]["init_args"]["strides"], 3, 4]
    assert parsed["init_parts"] == ["encoder"]
    with pytest.raises(RecipeError, match=r"--model.spectral_loss.n_mels\+= appends to the recipe's list"):
        request("--model.spectral_loss", "MultiScaleLogMelLoss", "--model.spectral_loss.n_mels+=3")


def test_a_parts_mapping_is_given_whole_or_by_its_keys() -> None:
    package = ["--model.quantizer", "PackageVQ", "--model.quantizer.arguments"]
    parsed = request(*package, "{a: 1, b: 1e-3}", "--model.quantizer.arguments.a", "2")
    assert parsed.settings["model"]["quantizer"]["init_args"]["arguments"] == {"a": "2", "b": 0.001}
    parsed = request(*package, "{a: 1}", "--model.quantizer.arguments", "{b: 2}")
    assert parsed.settings["model"]["quantizer"]["init_args"]["arguments"] == {"b": 2}


def test_a_class_beside_the_runs_own_takes_its_arguments() -> None:
    parsed = request("--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "boards",
                    "--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor", "valid/mel_distance",
                    "--trainer.callbacks+=LearningRateMonitor")  # fmt: skip
    assert parsed.settings["trainer"]["logger"] == {"class_path": "CSVLogger", "init_args": {"save_dir": "boards"}}
    stopping = {"class_path": "EarlyStopping", "init_args": {"monitor": "valid/mel_distance"}}
    assert parsed.settings["trainer"]["callbacks"] == [stopping, "LearningRateMonitor"]


def test_a_second_config_swaps_like_a_flag(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("model: {quantizer: {class_path: FactorizedVQ, init_args: {codebook_dim: 4}}}")
    parsed = request("--config", str(tmp_path / "mine.yaml"))
    shared = {"n_codebooks": 32, "codebook_size": 1024}
    assert parsed.settings["model"]["quantizer"]["init_args"] == {**shared, "codebook_dim": 4}
    assert parsed.recipe == "mine"


KNOWN = [
    "model.optimizer",
    "model.optimizer.lr",
    "model.optimizer.name",
    "model.encoder",
    "data.batch_size",
    "trainer.logger",
    "trainer.max_steps",
    "name",
]

HINTS = {
    "data.batch_size": int,
    "model.sample_rate": int,
    "model.bitrates": list[float] | None,
    "model.encoder.strides": list[int],
    "model.encoder.activation": Literal["elu", "relu"],
    "model.normalize": bool,
}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([("data.batch_size", "x")], "--data.batch_size is x; it should be a whole number"),
        ([("data.batch_size", 2.5)], "--data.batch_size is 2.5; it should be a whole number"),
        ([("model.encoder.activation", "x")], "--model.encoder.activation is x; it should be elu or relu"),
        ([("model.encoder.strides", "[2,a]")], "--model.encoder.strides is a; it should be a whole number"),
        ([("model.encoder.strides", [2, None])], "--model.encoder.strides is None; it should be a whole number"),
        ([("model.bitrates", "x")], "--model.bitrates is x; it should be a list or null"),
        ([("model.normalize", "maybe")], "--model.normalize is maybe; it should be true or false"),
        ([("data.batch_size", "3")], "--model.sample_rate is missing; it should be a whole number"),
        (
            [("optimizer.lr", "3")],
            "there is no --optimizer.lr (did you mean --model.optimizer.lr?); there are: data, model, name, trainer",
        ),
        (
            [("data.batchsize", "3")],
            "there is no --data.batchsize (did you mean --data.batch_size?); --data. takes: batch_size",
        ),
        (
            [("model.optimiser", {"lr": 1})],
            "there is no --model.optimiser (did you mean --model.optimizer?); --model. takes: encoder, optimizer",
        ),
        ([("model.sample_rate", "8000"), ("trainer.logger.save_dir", "x")], "something else entirely"),
    ],
)
def test_a_mistake_is_found_among_the_settings(given: list[tuple[str, Any]], line: str) -> None:
    assert (
        explain("something else\n\n  - entirely", given, HINTS, KNOWN, {"model.sample_rate": "a whole number"}) == line
    )


def test_differences_of_an_exchanged_part_are_its_class() -> None:
    lines = ["it differs:", "  a.class_path: P in the run, Q now", "  a.init_args.x: 1 in the run, 2 now", "Do this."]
    assert shorten("\n".join(lines)).splitlines() == ["it differs:", "  a: P in the run, Q now", "Do this."]
    many = shorten("\n".join(["it differs:", *(f"  b{i}: 1 in the run, 2 now" for i in range(20)), "Do this."]))
    assert many.splitlines()[-2:] == ["  and 8 more", "Do this."]


def test_a_config_may_name_parts_where_they_were_when_it_was_written(tmp_path: Path) -> None:
    recipe = yaml.safe_load((RECIPES / "encodec_24khz.yaml").read_text())
    recipe["model"]["waveform_loss"] = {"class_path": "codeclab.experiments.losses.waveform.WaveformL1"}
    (tmp_path / "older.yaml").write_text(yaml.safe_dump(recipe))
    parsed = parse("--config", str(tmp_path / "older.yaml"))
    loss = parsed.settings["model"]["waveform_loss"]
    assert loss["class_path"] == "codeclab.experiments.train.losses.waveform.WaveformL1"
    slot, base = "model.waveform_loss", all_slots()["model.waveform_loss"]
    assert find_part(slot, base, "codeclab.experiments.losses.waveform.WaveformL1") is WaveformL1


def test_a_file_that_imports_parts_by_a_former_path_gets_the_current_path(tmp_path: Path) -> None:
    (tmp_path / "older_parts.py").write_text("from codeclab.experiments.losses.base import ReconstructionLoss\n")
    with pytest.raises(RecipeError, match=r"it is codeclab\.experiments\.train\.losses"):
        import_file(str(tmp_path / "older_parts.py"))
