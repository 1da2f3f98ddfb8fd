"""Runs, codecs and baselines measured and compared from Python."""

from pathlib import Path

import pytest
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.measure.compare import common_data, common_rates, compare, measure_at_each
from codeclab.experiments.runs.measure.evaluate import choose_metrics
from codeclab.experiments.runs.measure.measure import measure, measure_entropy
from codeclab.experiments.runs.measure.settings import MeasuringSettings
from codeclab.experiments.runs.measure.subjects import evaluation_folder, read_subject, read_subjects
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}
SETTINGS = MeasuringSettings(["si_snr"], [8.0], "recordings", "test", clips=2, seconds=0.5)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    codec = Codec(SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE), sample_rate=8000)
    codec.save(tmp_path / "one")
    codec.save(tmp_path / "two")


def test_a_codec_is_measured_at_the_bitrates_it_offers() -> None:
    subject = read_subject("one")
    assert (subject.name, subject.path, subject.run) == ("one", Path("one"), None)
    assert evaluation_folder(subject) == Path("one/evaluation")
    evaluation = measure(subject, SETTINGS)
    assert evaluation.info["name"] == "one"
    assert set(evaluation.per_file["bitrate_kbps"]) == {8.0}
    assert len(evaluation.per_file) == 2
    with pytest.raises(RecipeError, match="the codec offers none of these bitrates; it offers 4, 8, 12 kbps"):
        measure(subject, MeasuringSettings(["si_snr"], [7.0], "recordings", "test"))
    with pytest.raises(RecipeError, match="no entropy coder was fitted to this codec: codeclab fit-lm --codec one"):
        measure_entropy(subject, SETTINGS, Path("out"))


def test_codecs_are_compared_on_the_same_clips_and_a_failure_is_a_row() -> None:
    subjects = read_subjects(["one", "two"])
    data, split = common_data(subjects, SETTINGS)
    assert (data.sample_rate, data.channels, split) == (8000, 1, "test")
    assert common_rates(subjects, None) == [4.0, 8.0, 12.0]
    assert common_rates(subjects, [12.0, 4.0]) == [4.0, 12.0]
    table = compare(subjects, data, split, [8.0], SETTINGS, Path("out"))
    assert [(row.name, row.error) for row in table.rows] == [("one", None), ("two", None)]
    assert table.against == "one"
    assert (Path("out") / "two" / "evaluation.json").is_file()
    failed = compare(subjects[:1], data, split, [6.0], SETTINGS, Path("out"))
    assert failed.rows[0].error == "RecipeError: it offers 4, 8, 12 kbps, none of those requested"
    with pytest.raises(RecipeError, match="one is given twice; rows need different names"):
        read_subjects(["one", "one"])
    with pytest.raises(RecipeError, match=r"there is no run, codec or baseline 'opus' \(did you mean Opus\?\)"):
        read_subjects(["one", "opus"])
    with pytest.raises(RecipeError, match="a baseline takes any bitrate: choose some"):
        common_rates([], None)


def test_a_baseline_that_can_code_at_no_bitrate_says_why() -> None:
    def refuse(rates: list[float]) -> None:
        raise ValueError(f"not at {rates[0]:g} kbps")

    with pytest.raises(ValueError, match="not at 7 kbps"):
        measure_at_each(refuse, [6.0, 7.0])


def test_of_two_metrics_that_are_the_same_one_is_measured() -> None:
    assert choose_metrics(["si_snr", "si_snr", "mel_distance"]) == (["si_snr", "mel_distance"], [])
    chosen, notes = choose_metrics(["si_snr", "si_sdr"])
    assert chosen == ["si_snr"]
    assert notes == ["SI-SDR is SI-SNR by definition, both without the mean: one column"]
