"""What a training would leave out, or could not do, is told before it begins."""

from pathlib import Path

import pytest

from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.build import build

VOCOS = ["--config", "vocos_16khz", "--scale", "laptop", "--dry-run"]
DAC = ["--config", "dac_16khz", "--scale", "lab", "--dry-run"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (
            [*VOCOS, "--model.adversarial_start", "750"],
            "adversarial_start is 750 and max_steps 750: the discriminators",
        ),
        (
            [*VOCOS, "--trainer.val_check_interval", "740"],
            "the last 10 batches of 750 are not validated, and so not in",
        ),
        (
            [*VOCOS, "--trainer.val_check_interval", "749"],
            "the last 1 batch of 750 is not validated, and so not in the",
        ),
        ([*DAC, "--model.waveform_loss", "WaveformL1"], "waveform_loss WaveformL1 has the weight 0 and is left out; "),
    ],
)
def test_what_is_left_out_is_told_in_a_note(words: list[str], note: str, capsys: pytest.CaptureFixture[str]) -> None:
    build("fit", words)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert line.startswith(f"note: {note}")


def test_nothing_is_told_of_a_recipe_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    build("fit", VOCOS)
    build("fit", [*DAC, "--model.waveform_loss", "WaveformL1", "--model.weights.waveform", "2"])
    assert "note: " not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [*VOCOS, "--model.discriminator_warmup", "188"],
            "the discriminators join at batch 562 .* none is left in which",
        ),
        ([*VOCOS, "--trainer.val_check_interval", "0.5"], "val_check_interval is 0.5; it should be a whole number of"),
        (
            [*DAC, "--model.weights.waveform", "5"],
            "weights.waveform is 5, and the recipe has no waveform_loss; --model.w",
        ),
    ],
)
def test_what_would_be_for_nothing_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build("fit", words)


def test_a_warm_up_that_ends_in_time_is_not_refused() -> None:
    assert build("fit", [*VOCOS, "--model.discriminator_warmup", "187"]).model.schedule.discriminator_warmup == 187
