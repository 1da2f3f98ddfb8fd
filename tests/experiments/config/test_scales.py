"""Scales size parts that there are, every recipe builds at every scale, and recipes say what they build."""

import re

import pytest
import yaml

from codeclab.experiments.config.files import RECIPES, SCALES, names
from codeclab.experiments.config.scales import read_scale
from codeclab.experiments.runs.build import build
from codeclab.experiments.train.parts import import_parts

PART_MODULES = ("codeclab.codecs.", "codeclab.quantizers.", "codeclab.discriminators.")


def sized_parts():
    """Classes of our own that have a size: encoders, quantizers, decoders, discriminators."""
    from codeclab.experiments.config.parts import all_slots, subclasses

    import_parts()
    slots = ("model.encoder", "model.quantizer", "model.decoder", "model.discriminators")
    parts = {name: part for slot in slots for name, part in subclasses(all_slots()[slot]).items()}
    # Tests define parts, too, and an ensemble is made by the trainer, not chosen.
    return {n: part for n, part in parts.items() if part.__module__.startswith(PART_MODULES) and n != "Ensemble"}


@pytest.mark.parametrize("scale", names(SCALES))
def test_a_scale_has_entries_of_parts_that_there_are_and_none_that_says_nothing(scale):
    content = yaml.safe_load((SCALES / f"{scale}.yaml").read_text())
    parts = sized_parts()
    assert len(parts) >= 11
    others = {"LoudnessNormalize", "MultiScaleMelLoss", "MultiScaleLogMelLoss"}
    assert content["parts"].keys() - others <= parts.keys()
    assert all(content["parts"].values())


def header(recipe):
    return re.match(r"(?:#.*\n)+", (RECIPES / f"{recipe}.yaml").read_text())[0]


def count(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize("scale", names(SCALES))
@pytest.mark.parametrize("recipe", names(RECIPES))
def test_every_recipe_builds_at_every_scale(recipe, scale, tmp_path, monkeypatch):
    """At the paper's scale the figures in the recipe's first lines are those of what is built."""
    from codeclab.experiments.runs import build as fit

    monkeypatch.setenv("WANDB_MODE", "disabled")
    arguments = [f"--config={recipe}", f"--scale={scale}", f"--runs={tmp_path}", "--dry-run"]
    model = fit.build("fit", [*arguments, "--trainer.accelerator=cpu"]).model
    codec = model.codec
    assert model.discriminators
    if scale != "paper":
        assert count(codec) < 40e6
        return
    text = header(recipe)
    rate, stride, frames, books, bits, kbps, millions = re.search(
        r"# ([\d.]+) kHz \| stride (\d+), ([\d.]+) frames/s \|[^|]*?(\d+) x (\d+) bit = ([\d.]+) kbps[^|]*"
        r"\| ([\d.]+) M parameters",
        text,
    ).groups()
    assert codec.sample_rate == float(rate) * 1000
    assert codec.hop_length == int(stride)
    assert codec.frame_rate == pytest.approx(float(frames), abs=0.005)
    assert codec.quantizer.codebook_sizes == [2 ** int(bits)] * int(books)
    assert codec.bitrates[-1] == pytest.approx(float(kbps), abs=0.005)
    decimals = len(millions.partition(".")[2])
    assert f"{count(codec) / 1e6:.{decimals}f}" == millions


@pytest.mark.parametrize(("encoder", "rate"), [("vocos_16khz", 0.002), ("encodec_24khz", 0.001), ("dac_16khz", 0.0005)])
def test_a_scale_knows_the_rate_at_which_an_encoder_learns(encoder, rate):
    config = build("fit", ["--config", encoder, "--scale", "laptop", "--dry-run"]).config
    assert config.model.optimizer.lr == rate


def test_shares_follow_the_number_of_batches_and_a_flag_goes_first():
    words = ["--config", "encodec_24khz", "--scale", "laptop", "--dry-run"]
    model = build("fit", [*words, "--trainer.max_steps", "200"]).config.model
    assert (model.quantizer_start, model.adversarial_start) == (120, 150)
    model = build("fit", [*words, "--trainer.max_steps", "200", "--model.quantizer_start", "7"]).config.model
    assert (model.quantizer_start, model.adversarial_start) == (7, 150)


@pytest.mark.parametrize("scale", ["laptop", "mini"])
def test_a_scale_leaves_the_weights_of_a_recipe_with_a_waveform_loss_and_no_balancer(scale, tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text("model: {waveform_loss: WaveformL1, weights: {waveform: 2.0, spectral: 4.0}}")
    own = build("fit", ["--config", "dac_16khz", "--config", str(recipe), "--scale", scale, "--dry-run"])
    assert type(own.model.waveform_loss).__name__ == "WaveformL1"
    assert (own.model.weights.waveform, own.model.weights.spectral) == (2.0, 4.0)
    shipped = build("fit", ["--config", "dac_16khz", "--scale", scale, "--dry-run"])
    assert (shipped.model.weights.waveform, shipped.model.weights.spectral) == (1500.0, 15.0)


@pytest.mark.parametrize("scale", ["laptop", "mini", "lab"])
@pytest.mark.parametrize("recipe", names(RECIPES))
def test_at_every_scale_discriminators_join_and_the_last_batch_is_validated(recipe, scale, tmp_path, capsys):
    trained = build("fit", ["--config", recipe, "--scale", scale, "--dry-run", "--runs", str(tmp_path)])
    config = trained.config
    assert config.model.adversarial_start < config.trainer.max_steps
    assert config.trainer.max_steps % config.trainer.val_check_interval == 0
    said = capsys.readouterr().err
    assert "never join" not in said
    assert "not validated" not in said


def test_a_scale_under_its_former_name_is_refused_with_the_new_one():
    with pytest.raises(ValueError, match=r"no scale 'demo'; there are: .* \(demo is now laptop\)"):
        read_scale("demo")


@pytest.mark.parametrize(
    ("recipe", "flags", "weight", "has_loss"),
    [
        ("dac_44khz", [], 1500.0, True),  # no balancer: losses weigh what their gradients do
        ("dac_44khz", ["--model.waveform_loss", "null"], 1500.0, False),
        ("dac_44khz", ["--model.weights.waveform", "7"], 7.0, True),
        ("encodec_24khz", [], 5.0, True),
        (
            "encodec_24khz",
            ["--model.balancer", "null"],
            5.0,
            True,
        ),  # of which it is an experiment
    ],
)
def test_recipes_without_a_balancer_get_a_waveform_loss_that_counts(recipe, flags, weight, has_loss, tmp_path):
    arguments = ["--config", recipe, "--scale", "mini", "--runs", str(tmp_path), "--data", "synthetic", "--dry-run"]
    model = build("fit", [*arguments, *flags]).model
    assert model.weights.waveform == weight
    assert (model.waveform_loss is not None) == has_loss
