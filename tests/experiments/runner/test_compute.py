"""What a table says of the audio that its rows heard, beside the paper's."""

import re

import pytest

from codeclab.experiments.config.files import names
from codeclab.experiments.runner.compute import Compute, describe_compute, read_compute
from codeclab.experiments.runner.read import TABLES, read_table

ENCODEC = {"batches": 300 * 2000, "batch_size": 64, "seconds": 1.0, "hardware": "8 A100 GPUs"}


def test_hours_by_hand() -> None:
    assert read_compute(ENCODEC).hours == pytest.approx(10666.67, abs=0.01)
    assert Compute(250_000, 12, 0.38).hours == pytest.approx(316.67, abs=0.01)
    assert read_compute(None) is None


def test_the_settings_of_each_training_are_printed_beside_the_papers() -> None:
    paper = read_compute(ENCODEC)
    mini = Compute(400, 4, 0.5)
    assert describe_compute([], [], "CPU", paper) == []
    assert describe_compute([mini, mini], [63.0, 185.0], "CPU", paper) == [
        "Each training: 400 batches of 4 x 0.5 s, 0.22 hours of audio heard, 1 min 03 s to 3 min 05 s on CPU; the "
        "paper's: 600,000 batches of 64 x 1 s, 10,667 hours of audio heard on 8 A100 GPUs."
    ]
    assert describe_compute([mini, Compute(800, 4, 0.5)], [63.0], "CPU", None) == [
        "Each training: 0.22 to 0.44 hours of audio heard, 1 min 03 s on CPU."
    ]


@pytest.mark.parametrize(
    "wrong", [7, {"batches": 7}, {**ENCODEC, "epochs": 1}, {**ENCODEC, "seconds": 0}, {**ENCODEC, "batches": "many"}]
)
def test_what_is_no_training_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=re.escape("'compute' is the paper's training, as in {batches: 600000")):
        read_compute(wrong)


@pytest.mark.parametrize("name", [name for name in names(TABLES) if name not in ("demo", "quantizers")])
def test_the_papers_tables_that_are_trained_say_the_papers_compute(name: str) -> None:
    spec = read_table(name)
    trained = any(row.kind == "trained" for row in spec.rows)
    assert (spec.compute is not None) == trained
    if trained:
        usual = {"encodec": [10666.67], "dac": [316.67, 3040.0]}[name.split("_")[0]]
        assert any(spec.compute.hours == pytest.approx(hours, abs=0.01) for hours in usual)
