"""``fit --init``: what a run starts with, against the weights it was given; and the warm-up of fresh discriminators."""

import shlex
import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel

from codeclab.codecs.codec import Codec
from codeclab.codecs.io.folder import identity
from codeclab.codecs.io.weights import folded_tensors
from codeclab.experiments.cli import main
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs import build as fit
from codeclab.experiments.runs.folder import RunFolder, RunFolderError
from codeclab.experiments.runs.init_from import begin_from, find_source, read_source
from codeclab.quantizers import ema_codebook, factorized_codebook

RECIPES = ["encodec_24khz", "dac_44khz"]


@pytest.fixture(scope="module")
def runs(tiny, tmp_path_factory):
    """A folder with a run of two batches of each recipe, by the recipe's name."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        for recipe in RECIPES:
            fit.build("fit", [*tiny(recipe, 2), f"--runs={folder}", f"--name={recipe}"]).execute()
    return folder


@pytest.fixture
def base(runs, tmp_path):
    """``base(recipe)``: the folder of a codec like the recipe's, of tensors of its own, its codebooks in use."""

    def saved(recipe, name="base"):
        codec = Codec.from_pretrained(runs / recipe)
        with torch.no_grad():
            for parameter in codec.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
            for key, buffer in codec.named_buffers():
                if key.endswith(".updates"):
                    buffer.fill_(7)
        codec.save(tmp_path / name)
        return tmp_path / name

    return saved


@pytest.fixture
def no_kmeans(monkeypatch):
    """Fails where a codebook starts anew."""

    def refuse(*arguments):
        raise AssertionError("k-means on a codebook that was in use")

    monkeypatch.setattr(ema_codebook, "kmeans", refuse)
    monkeypatch.setattr(factorized_codebook, "kmeans", refuse)


def as_before_0_2(path):
    """Write a checkpoint with the names that the discriminators' tensors had before version 0.2."""
    content = torch.load(path, weights_only=True)
    state = {name.replace("discriminators.", "critics.", 1): value for name, value in content["state_dict"].items()}
    assert state.keys() != content["state_dict"].keys()
    torch.save({**content, "state_dict": state}, path)


def assert_same_weights(codec, other):
    left, right = folded_tensors(codec), folded_tensors(other)
    assert left.keys() >= right.keys()
    for name, tensor in right.items():
        torch.testing.assert_close(left[name], tensor, rtol=1e-5, atol=1e-7, msg=lambda text, n=name: f"{n}: {text}")


def test_a_codec_alone_meets_fresh_discriminators(base, build, no_kmeans, capsys):
    folder = base("encodec_24khz")
    plain = build("encodec_24khz", name="plain")
    cli = build("encodec_24khz", name="tuned", init=folder, model__average_decay=0.9)
    codec = Codec.from_pretrained(folder)
    assert_same_weights(cli.model.codec, codec)
    for name, tensor in cli.model.average.state_dict().items():
        assert torch.equal(tensor, cli.model.codec.state_dict()[name])
    for name, tensor in cli.model.discriminators.state_dict().items():
        assert torch.equal(tensor, plain.model.discriminators.state_dict()[name])
    cli.execute()
    assert cli.trainer.global_step == 1
    assert int(cli.model.codec.quantizer.codebooks[0].updates) == 8
    assert (
        f"init: {folder} ({identity(codec)}); discriminators start untrained: there are none to take over\n"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_brings_both_players(recipe, runs, build):
    cli = build(recipe, name="tuned", init=runs / recipe, seed_everything=5)
    state = torch.load(runs / recipe / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    prefix = "discriminators."
    stored = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    assert len(stored) > 10
    assert stored.keys() == cli.model.discriminators.state_dict().keys()
    assert all(torch.equal(value, stored[name]) for name, value in cli.model.discriminators.state_dict().items())
    assert_same_weights(cli.model.codec, Codec.from_pretrained(runs / recipe))
    assert cli.origin.endswith("; discriminators are those of the run")
    assert "+critics-" in cli.settings["init_identity"]


def test_a_run_of_before_discriminators_had_their_name_brings_both_players(runs, build, tmp_path):
    """Versions before 0.2 called them critics; the identity, by which runs are named, is the same."""
    now = read_source(str(runs / "dac_44khz"))
    former = shutil.copytree(runs / "dac_44khz", tmp_path / "former")
    for path in (former / "checkpoints").glob("*.ckpt"):
        as_before_0_2(path)
    source = read_source(str(former))
    assert source.identity == now.identity
    assert source.discriminators.keys() == now.discriminators.keys()
    cli = build("dac_44khz", name="tuned", init=former, seed_everything=5)
    assert cli.origin.endswith("; discriminators are those of the run")


def test_a_run_of_before_discriminators_had_their_name_goes_on(build, tmp_path):
    """Its checkpoint has their former names; both players and their optimizers go on as if nothing had happened."""
    for name in ("whole", "former"):
        build("dac_44khz", 1, name=name, trainer__val_check_interval=1).execute()
    as_before_0_2(tmp_path / "former" / "checkpoints" / "last.ckpt")
    for name in ("whole", "former"):
        build("dac_44khz", 2, name=name, trainer__val_check_interval=1).execute()
    whole, former = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "former")
    )
    assert whole.keys() == former.keys()
    assert all(torch.equal(whole[name], former[name]) for name in whole)


def test_discriminators_that_do_not_fit_start_fresh_and_it_is_said_why(runs, build):
    cli = build("encodec_24khz", name="tuned")
    model, source = cli.model, read_source(str(runs / "encodec_24khz"))
    fresh = {name: tensor.clone() for name, tensor in model.discriminators.state_dict().items()}
    for setting, value, said in (
        (
            "model.discriminators[0].init_args.n_ffts",
            [512, 128],
            "discriminators[0].n_ffts is [512, 128] there and [25",
        ),
        ("model.rate_sampling.init_args.bitrates", [1.2, 2.4], "rate_sampling.bitrates is [1.2, 2.4] there and [0.6,"),
        ("model.ensemble_per_bandwidth", False, "model.ensemble_per_bandwidth is false there and true here"),
    ):
        assert setting in source.settings
        other = replace(source, settings={**source.settings, setting: value})
        report = begin_from(other, model, cli.settings)
        assert "discriminators start untrained: those of the run do not fit (" in report
        assert said in report
    first = {name: tensor for name, tensor in source.discriminators.items() if name.startswith("0.")}
    assert "do not fit (tensors 1." in begin_from(replace(source, discriminators=first), model, cli.settings)
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in model.discriminators.state_dict().items())


def test_what_does_not_fit_is_answered_with_flags_that_do(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    config = EncodecConfig(
        num_filters=3, hidden_size=12, codebook_dim=12, codebook_size=16, upsampling_ratios=[8, 5, 4, 2],
        num_lstm_layers=1, target_bandwidths=[0.6, 2.4], sampling_rate=24000,
    )  # fmt: skip
    EncodecModel(config).save_pretrained("theirs")
    capsys.readouterr()
    words = ["fit", *tiny("encodec_24khz", 1), "--name=tuned", "--init", "theirs"]
    with pytest.raises(SystemExit, match="2"):
        main(words)
    err = capsys.readouterr().err
    assert "--init theirs does not fit the Codec: " in err
    assert "encoder.n_filters is 3 there and 4 here" in err
    assert "encoder.dimension is 12 there and 8 here" in err
    assert "quantizer.dimension" not in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    with pytest.raises(SystemExit, match="0"):
        main([*words, *shlex.split(err.partition("to fit it: ")[2])])
    assert "; discriminators start untrained: there are none to take over\n" in capsys.readouterr().err
    assert (tmp_path / "runs" / "tuned" / "codec" / "config.json").is_file()


def test_another_part_is_answered_with_all_its_arguments(base, build, tiny, tmp_path):
    folder = base("encodec_24khz")
    swap = {"model__quantizer": "FactorizedVQ", "model__quantizer__codebook_dim": 2}
    with pytest.raises(RecipeError, match="quantizer is ResidualVQ there and FactorizedVQ here") as refused:
        build("encodec_24khz", name="tuned", init=folder, **swap)
    flags = shlex.split(str(refused.value).partition("to fit it: ")[2])
    assert dict(zip(flags[::2], flags[1::2], strict=True)) == {
        "--model.quantizer": "ResidualVQ",
        "--model.quantizer.n_codebooks": "8",
        "--model.quantizer.codebook_size": "16",
    }
    assert "; --init_parts [encoder,decoder] lets the quantizer start untrained" in str(refused.value)
    assert not (tmp_path / "tuned").exists()
    with pytest.raises(RecipeError, match="encoder is SEANetEncoder there and DACEncoder here") as refused:
        build("encodec_24khz", name="tuned", init=folder, model__encoder="DACEncoder", **swap)
    assert "--init_parts" not in str(refused.value)  # the encoder would not fit either


def test_another_quantizer_starts_anew_between_the_encoder_and_decoder_given(base, build, capsys):
    folder = base("encodec_24khz")
    swap = {"model__quantizer": "FactorizedVQ", "model__quantizer__codebook_dim": 2}
    cli = build("encodec_24khz", name="tuned", init=folder, init_parts="[encoder,decoder]", **swap)
    assert cli.origin.startswith(f"init: {folder} (v1-")
    assert ", its encoder and decoder; discriminators start untrained" in cli.origin
    theirs, ours = folded_tensors(Codec.from_pretrained(folder)), folded_tensors(cli.model.codec)
    shared = [name for name in ours if not name.startswith("quantizer.")]
    assert shared
    for name in shared:
        torch.testing.assert_close(ours[name], theirs[name])
    fresh = build("encodec_24khz", name="fresh", **swap)
    for name, value in folded_tensors(fresh.model.codec.quantizer).items():
        assert value.shape == ours[f"quantizer.{name}"].shape


def test_codebooks_of_parts_left_out_start_again(base, build):
    """Those of the base are in use; a quantizer that is not taken starts from k-means as any other."""
    folder = base("encodec_24khz")
    cli = build(
        "encodec_24khz", 1, name="tuned", init=folder, init_parts="[encoder,decoder]", model__discriminators="[]"
    )
    assert int(cli.model.codec.quantizer.codebooks[0].updates) == 0
    cli.execute()
    assert int(cli.model.codec.quantizer.codebooks[0].updates) == 1


def test_parts_that_there_are_none_of_are_refused(base, build):
    with pytest.raises(RecipeError, match="init_parts"):
        build("encodec_24khz", name="tuned", init=base("encodec_24khz"), init_parts="[discriminators]")


def test_what_fits_but_computes_otherwise_is_noted(base, build):
    folder = base("encodec_24khz")
    cli = build("encodec_24khz", name="tuned", init=folder, model__encoder__causal="false",
                model__quantizer__decay=0.9)  # fmt: skip
    assert cli.origin.endswith("; note that encoder.causal is true there and false here")


def test_a_dac_of_transformers_keeps_its_codebooks(build, tmp_path, no_kmeans):
    config = DacConfig(
        encoder_hidden_size=2, decoder_hidden_size=32, downsampling_ratios=[2, 4, 8, 8], hidden_size=16, n_codebooks=3,
        codebook_size=16, codebook_dim=8, hop_length=512, sampling_rate=44100,
    )  # fmt: skip
    theirs = DacModel(config)
    theirs.save_pretrained(tmp_path / "theirs")
    cli = build("dac_44khz", name="tuned", init=tmp_path / "theirs", model__quantizer__kmeans_init="true")
    ours = cli.model.codec.quantizer
    assert bool(ours.started)
    for stage, quantizer in zip(ours.stages, theirs.quantizer.quantizers, strict=True):
        assert torch.equal(stage.codebook.weight, quantizer.codebook.weight)
    audio = torch.randn(1, 1, 2048)
    with torch.no_grad():
        latent = theirs.encoder(audio)
    torch.testing.assert_close(cli.model.codec.encoder(audio), latent, rtol=1e-4, atol=1e-5)
    cli.model.codec.save(tmp_path / "saved")
    build("dac_44khz", name="again", init=tmp_path / "saved")  # where there is no flag for what was started
    restarted = build("dac_44khz", name="more", init=tmp_path / "saved", model__quantizer__dead_threshold=1.0)
    assert bool((restarted.model.codec.quantizer.counts == 1).all())
    restarted.model.codec.save(tmp_path / "counted")
    build("dac_44khz", name="fewer", init=tmp_path / "counted")


def test_a_run_is_resumed_from_its_checkpoint_and_refuses_another_init(base, build, tmp_path):
    folder = base("dac_44khz")
    settings = {"trainer__val_check_interval": 1}
    build("dac_44khz", 2, name="whole", init=folder, **settings).execute()
    build("dac_44khz", 1, name="parts", init=folder, **settings).execute()
    other = base("dac_44khz", "other")
    with pytest.raises(RunFolderError, match=rf"init: {folder} \(v1-\w+\) in the run, {other} \(v1-\w+\) now"):
        build("dac_44khz", 2, name="parts", init=other, **settings)
    moved = shutil.copytree(folder, tmp_path / "moved")
    shutil.rmtree(folder)
    stored = yaml.safe_load((tmp_path / "parts" / "config.yaml").read_text())
    typed = {"init": str(folder), "init_identity": None}
    assert find_source(typed, RunFolder(tmp_path / "parts")) is None  # a run that goes on does without its start
    assert typed == {key: stored[key] for key in typed}
    build("dac_44khz", 2, name="parts", init=moved, **settings).execute()
    whole, parts = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    config = yaml.safe_load((tmp_path / "parts" / "config.yaml").read_text())
    assert config["init"] == str(moved)
    assert config["init_identity"] == typed["init_identity"] == identity(Codec.from_pretrained(moved))


def test_a_runs_config_is_a_recipe_for_the_next_run(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = runs / "dac_44khz"
    words = ["--config", str(run), "--init", str(run), "--runs", "."]
    with pytest.raises(SystemExit, match="0"):
        main(["fit", *words, "--name", "tuned", "--dry-run"])
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed.startswith(f"init           {run} (v1-")
    assert printed.endswith("; discriminators are those of the run")
    assert list(tmp_path.iterdir()) == []
    started = fit.build("fit", words).folder.path
    assert started.name.startswith("dac_44khz-")
    assert fit.build("fit", ["--config", str(started)]).folder.path == started


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            ["--init", "somewhere"],
            "no recipe was given; add --config NAME (--init supplies only weights; the recipe defines the parts)",
        ),
        (["--config", "dac_44khz", "--scale", "laptop", "--init", "./nowhere"], "--init ./nowhere: "),
        (["--config", "dac_44khz", "--scale", "laptop", "--init", "."], "--init .: "),
        (["--config", "dac_44khz", "--init_identity", "v1-0"], "give --init too"),
        (
            ["--config", "vocos_16khz", "--scale", "laptop", "--init", "box", "--init_identity", "v1-0"],
            "but the config was written with v1-0; name the codec of that identity, or start from the present one",
        ),
        (
            ["--config", "dac_44khz", "--scale", "laptop", "--model.discriminator_warmup", "-1"],
            "warmup is -1; it should",
        ),
    ],
)
def test_mistakes_are_answered_in_a_line(words, answer, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["fit", *words])
    err = capsys.readouterr().err
    assert answer in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_read_is_refused(base, build, tmp_path):
    folder = base("dac_44khz")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(RecipeError, match=r"last.ckpt cannot be read"):
        build("dac_44khz", name="tuned", init=folder)


@pytest.mark.parametrize(("recipe", "order"), [("encodec_24khz", "discriminator_first"), ("dac_44khz", "joint")])
def test_in_their_warmup_the_discriminators_learn_alone(recipe, order, watched, differing):
    settings = {"discriminator_warmup": 2, "discriminator_probability": 0, "update_order": order, "average_decay": 0.9}
    settings |= {"accumulate": 2} if order == "joint" else {}
    cli, watch = watched(recipe, 3, **{f"model__{name}": value for name, value in settings.items()})
    for batch in (0, 1):
        before, after = watch.states[batch : batch + 2]
        moved = differing(before, after)
        assert moved
        assert {name.partition(".")[0] for name in moved} == {"discriminators"}
    assert differing(*watch.states[2:4], "codec.encoder.")
    assert differing(*watch.states[2:4], "average.")
    assert not differing(*watch.states[2:4], "discriminators.")
    assert cli.trainer.global_step == 3
    assert cli.model.codec.training
    columns = (cli.folder.metrics).read_text().splitlines()[0]
    assert "train/discriminator" in columns
