"""Discriminators that join after the codec has learnt alone for a while."""

import pandas as pd
import pytest


def test_discriminators_may_join_after_the_start(watched, differing):
    cli, watch = watched("encodec_24khz", 4, model__adversarial_start=2, model__discriminator_probability=1)
    for batch in (0, 1):
        assert {n.partition(".")[0] for n in differing(*watch.states[batch : batch + 2])} == {"codec"}
    assert differing(*watch.states[2:4], "discriminators.")
    rows = pd.read_csv(cli.folder.metrics)
    assert rows["train/discriminator"].isna().tolist() == [True, True, False, False]
    assert rows["train/adversarial"].isna().tolist() == [True, True, False, False]
    assert rows["train/spectral"].notna().all()


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"model__adversarial_start": -1}, "adversarial_start is -1; it should be 0 or"),
        (
            {"model__adversarial_start": 5, "model__weights__waveform": 0, "model__weights__spectral": 0},
            "until batch 5 .* nothing to learn from",
        ),
    ],
)
def test_what_cannot_start_without_discriminators_is_refused(settings, answer, build):
    with pytest.raises(ValueError, match=answer):
        build("encodec_24khz", **settings)


def test_a_recipes_start_of_discriminators_that_a_flag_took_away_makes_no_difference(build):
    assert not build("encodec_24khz", model__adversarial_start=5, model__discriminators=[]).model.discriminators
