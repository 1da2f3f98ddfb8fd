"""One batch for both players: who moves, who does not, and what is counted."""

import csv
import math

import pytest
import torch

from codeclab.experiments.train.settings import OptimizerSettings

RECIPES = ["encodec_24khz", "dac_44khz"]
ORDERS = ["discriminator_first", "joint"]


def metrics(cli):
    with cli.folder.metrics.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_both_players_learn_and_neither_through_the_other(recipe, order, watched, differing):
    cli, watch = watched(recipe, 3, model__update_order=order, model__discriminator_probability=1)
    figures = [float(value) for row in metrics(cli) for value in row.values() if value]
    assert all(math.isfinite(figure) for figure in figures)
    assert {"train/spectral", "train/discriminator", "train/adversarial", "train/feature"} <= metrics(cli)[0].keys()

    first, last = watch.states[0], watch.states[-1]
    learnable = {f"codec.{name}" for name, _ in cli.model.codec.named_parameters()}
    assert learnable <= differing(first, last)
    playing = {cli.model.discriminators_of(batch).ensemble for batch in range(3)}
    for index, ensemble in enumerate(cli.model.discriminators):
        # Not their last biases: inside both hinges the gradients of real and fake cancel.
        assert bool(differing(first, last, f"discriminators.{index}.")) == (ensemble in playing)

    for player, _, gradients in watch.gradients:
        owners = {name.partition(".")[0] for name in gradients}
        if order == "discriminator_first":
            assert owners == {"discriminators" if player else "codec"}
        elif player == 0:
            assert owners == {"codec"}
    assert [player for player, _, _ in watch.gradients] == [1, 0] * 3
    assert all(p.grad is None for p in cli.model.parameters())
    assert all(p.requires_grad for p in cli.model.parameters())


def test_codebooks_follow_the_batches(watched, differing):
    cli, watch = watched("encodec_24khz", 2)
    for before, after in zip(watch.states, watch.states[1:], strict=False):
        assert "codec.quantizer.codebooks.0.entries" in differing(before, after)
    assert watch.states[-1]["codec.quantizer.codebooks.0.updates"] == 2


@pytest.mark.parametrize("probability", [0, 2 / 3, 1])
def test_steps_count_batches_whatever_the_discriminators_do(probability, watched, differing):
    cli, watch = watched("encodec_24khz", 6, model__discriminator_probability=probability)
    assert cli.trainer.global_step == 6
    assert [row["step"] for row in metrics(cli)] == ["1", "2", "3", "4", "5", "6"]
    learned = [step for player, step, _ in watch.gradients if player == 1]
    assert learned == [batch for batch in range(6) if cli.model.schedule.discriminators_learn(batch)]
    assert (len(learned) > 0) == (probability > 0)
    assert bool(differing(watch.states[0], watch.states[-1], "discriminators.")) == (probability > 0)


def test_updates_of_the_discriminators_come_as_often_as_their_probability(build):
    model = build("encodec_24khz").model
    share = sum(model.schedule.discriminators_learn(batch) for batch in range(3000)) / 3000
    assert abs(share - 2 / 3) < 0.03


def test_ensembles_of_other_bandwidths_neither_move_nor_decay(watched, differing):
    settings = {"discriminator_optimizer": '{"name": "AdamW", "lr": 0.01, "weight_decay": 0.5}'}
    settings |= {"discriminator_probability": 1}
    cli, watch = watched("encodec_24khz", 5, **{f"model__{name}": value for name, value in settings.items()})
    played = [cli.model.rate_sampling.index(cli.model.seed, batch) for batch in range(5)]
    assert set(played) == {0, 1}
    for batch, index in enumerate(played):
        moved = differing(watch.states[batch], watch.states[batch + 1], "discriminators.")
        assert moved
        assert {name.split(".")[1] for name in moved} == {str(index)}


def test_ensembles_of_bandwidths_start_differently(build):
    first, second = build("encodec_24khz").model.discriminators
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_averaged_codec_is_the_one_deployed(watched):
    cli, watch = watched("encodec_24khz", 3, model__average_decay=0.9)
    for name, _ in cli.model.codec.named_parameters():
        average = watch.states[0][f"codec.{name}"]
        for decay, state in zip((1 / 10, 2 / 11, 3 / 12), watch.states[1:], strict=True):
            average = decay * average + (1 - decay) * state[f"codec.{name}"]
        torch.testing.assert_close(cli.model.average.get_parameter(name), average)
    deployed = cli.model.deployed_codec
    assert deployed is cli.model.average
    assert deployed.quantizer.codebooks[0].entries.equal(cli.model.codec.quantizer.codebooks[0].entries)
    saved = type(deployed).from_pretrained(cli.folder.path)
    audio = torch.randn(1, 1, 2400, generator=torch.Generator().manual_seed(1))
    expected = deployed.eval().decode(deployed.encode(audio))
    torch.testing.assert_close(saved.eval().decode(saved.encode(audio)), expected, rtol=1e-4, atol=1e-6)


def test_without_weight_on_them_there_are_no_discriminators(watched):
    cli, watch = watched("dac_44khz", 2, model__weights__adversarial=0, model__weights__feature=0)
    assert len(cli.model.discriminators) == 0
    assert len(cli.trainer.optimizers) == 1
    assert cli.trainer.global_step == 2
    assert [player for player, _, _ in watch.gradients] == [0, 0]


def test_feature_matching_alone_keeps_the_discriminators_learning(watched, differing):
    cli, watch = watched("dac_44khz", 2, model__weights__adversarial=0)
    assert differing(watch.states[0], watch.states[-1], "discriminators.")
    assert "train/adversarial" not in metrics(cli)[0]


def test_nothing_to_learn_from_is_refused(build):
    settings = {f"model__weights__{name}": 0 for name in ("adversarial", "feature", "spectral", "waveform")}
    with pytest.raises(ValueError, match="nothing to learn from"):
        build("dac_44khz", **settings)


def test_the_learning_rate_decays_with_every_batch(watched):
    settings = {"model__optimizer__decay": 0.5, "model__discriminator_optimizer__decay": 0.25}
    cli, _ = watched("dac_44khz", 3, **settings)
    generator, discriminators = cli.trainer.optimizers
    assert generator.param_groups[0]["lr"] == pytest.approx(1e-4 * 0.5**2)
    assert discriminators.param_groups[0]["lr"] == pytest.approx(1e-4 * 0.25**2)
    assert [float(row["train/lr"]) for row in metrics(cli)] == pytest.approx([1e-4, 5e-5, 2.5e-5])


def test_the_learning_rate_rises_and_falls_along_a_cosine(watched):
    cli, _ = watched("dac_44khz", 4, model__optimizer__schedule="cosine", model__optimizer__warmup=2)
    rates = [1e-4 * warm * (1 + math.cos(math.pi * batch / 4)) / 2 for batch, warm in enumerate([0.5, 1, 1, 1])]
    assert [float(row["train/lr"]) for row in metrics(cli)] == pytest.approx(rates, rel=1e-4)
    assert cli.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(rates[-1], rel=1e-4)
    # Its own settings hold for the other player.
    assert [float(row["train/discriminator_lr"]) for row in metrics(cli)] == pytest.approx([1e-4] * 4, rel=1e-4)


def test_a_cosine_without_an_end_is_refused():
    with pytest.raises(ValueError, match="give the trainer max_steps"):
        OptimizerSettings(schedule="cosine").rate(1, -1)
    assert OptimizerSettings(lr=0.5).rate(1, -1) == 0.5


def test_a_negative_warmup_is_refused(build):
    with pytest.raises(ValueError, match="warmup is -1; it should be 0 or more batches"):
        build("dac_44khz", model__optimizer__warmup=-1)


def test_eps_is_the_optimizers_and_above_zero(build):
    experiment = build("dac_44khz", model__optimizer__eps=1e-6).model
    assert experiment.optimizer_settings.build(experiment.codec.parameters()).defaults["eps"] == 1e-6
    with pytest.raises(ValueError, match="eps is 0.0; it should be above 0"):
        build("dac_44khz", name="zero", model__optimizer__eps=0.0)


@pytest.mark.parametrize("order", ORDERS)
def test_gradients_are_clipped_to_each_players_norm(order, watched):
    settings = {"model__optimizer__clip_norm": 0.01, "model__discriminator_optimizer__clip_norm": 0.02}
    cli, watch = watched("dac_44khz", 1, model__update_order=order, **settings)
    row = metrics(cli)[0]
    for player, _, gradients in watch.gradients:
        role, prefix, limit = (("generator", "codec.", 0.01), ("discriminator", "discriminators.", 0.02))[player]
        norm = torch.stack([g.norm() for name, g in gradients.items() if name.startswith(prefix)]).norm()
        assert float(norm) == pytest.approx(limit, rel=1e-3)
        assert float(row[f"train/{role}_grad_norm"]) > limit


@pytest.mark.parametrize("recipe", RECIPES)
def test_bf16_leaves_the_quantizer_in_float32(recipe, build):
    cli = build(recipe, 2, trainer__precision="bf16-mixed")
    seen = {"encoder": [], "quantizer": []}
    codec = cli.model.codec
    codec.encoder.register_forward_hook(lambda module, inputs, output: seen["encoder"].append(output.dtype))
    codec.quantizer.register_forward_hook(
        lambda module, inputs, output: seen["quantizer"].extend(
            [output.latent.dtype, *(loss.dtype for loss in output.losses.values())]
        )
    )
    cli.execute()
    assert set(seen["encoder"]) == {torch.bfloat16}
    assert set(seen["quantizer"]) == {torch.float32}
    figures = [float(value) for row in metrics(cli) for value in row.values() if value]
    assert all(math.isfinite(figure) for figure in figures)
    assert all(p.dtype == torch.float32 for p in cli.model.parameters())
