"""Baselines are measured by the code that measures codecs."""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from codeclab.benchmarks.baselines import evaluate_baseline, make_baseline
from codeclab.benchmarks.baselines.measure import requested_rates
from codeclab.benchmarks.baselines.opus import Opus
from codeclab.benchmarks.baselines.registry import describe_baseline
from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.metrics.si_sdr import si_sdr
from codeclab.benchmarks.tables.render import evaluation_text


class Steps:
    """Rounds samples to so many kbps' worth of steps, and spends more on longer clips."""

    name = "Steps"
    bitrates: list[float] = [8.0, 32.0]
    sample_rate: int | None = None

    def __init__(self, channels: int | None = None) -> None:
        self.channels: int | None = channels

    def available(self) -> str | None:
        return None

    def transcode(self, audio: Tensor, sample_rate: int, bitrate: float) -> tuple[Tensor, float]:
        return (audio * bitrate).round() / bitrate, bitrate + audio.shape[1] / sample_rate


def test_scores_and_the_rate_really_spent(make_clip: Callable[..., Clip]) -> None:
    clips = [make_clip("short", "speech", seconds=1.0), make_clip("long", "music", seconds=3.0, channels=2)]
    evaluation = evaluate_baseline(Steps(), iter(clips), metrics=["si_sdr", "bitrate_efficiency"])
    table = evaluation.per_file
    named = ["name", "domain", "seconds", "bitrate_kbps", "requested_kbps", "codes_kbps", "si_sdr", "failures"]
    assert list(table.columns) == named
    assert list(table["requested_kbps"]) == [8.0, 32.0, 8.0, 32.0]
    assert list(table["codes_kbps"]) == [9.0, 33.0, 11.0, 35.0]
    # Weighted by seconds: (1 · 9 + 3 · 11) / 4 and (1 · 33 + 3 · 35) / 4.
    assert evaluation.info["requested_kbps"] == [8.0, 32.0]
    assert evaluation.info["bitrates_kbps"] == [10.5, 34.5]
    assert list(table["bitrate_kbps"]) == [10.5, 34.5, 10.5, 34.5]
    audio = clips[0].audio
    assert table["si_sdr"][0] == pytest.approx(si_sdr(audio, (audio * 8).round() / 8, 8000))
    assert set(evaluation.summary["metric"]) == {"si_sdr"}
    assert evaluation.codebooks.empty


def test_channels_are_matched_as_a_codecs(make_clip: Callable[..., Clip]) -> None:
    stereo, mono = make_clip("a", "speech", channels=2), make_clip("b", "speech")
    stereo.audio[1] = 0
    evaluation = evaluate_baseline(Steps(channels=1), [stereo], [8.0], ["si_sdr"])
    middle = stereo.audio.mean(0, keepdim=True)
    assert evaluation.per_file["si_sdr"][0] == pytest.approx(si_sdr(middle, (middle * 8).round() / 8, 8000))
    evaluation = evaluate_baseline(Steps(channels=2), [mono], [8.0], ["si_sdr"])
    assert evaluation.per_file["si_sdr"][0] == pytest.approx(si_sdr(mono.audio, (mono.audio * 8).round() / 8, 8000))


def test_saved_and_loaded_it_is_the_same_and_can_be_printed(make_clip: Callable[..., Clip], tmp_path: Path) -> None:
    evaluation = evaluate_baseline(Opus(), [make_clip("a", "speech")], [12, 24], ["si_sdr", "codebook_usage"])
    evaluation.save(tmp_path)
    loaded = Evaluation.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.per_file, evaluation.per_file)
    pd.testing.assert_frame_equal(loaded.summary, evaluation.summary, check_dtype=False)
    assert loaded.info["baseline"] == {"part": "Opus", "rate": "variable", "application": "audio", "channels": None}
    assert "│ Opus │" in evaluation_text(loaded)


def test_without_metrics_only_the_rate_is_found(make_clip: Callable[..., Clip]) -> None:
    evaluation = evaluate_baseline(Steps(), [make_clip("a", "speech")], [8.0], [])
    assert evaluation.info["bitrates_kbps"] == [9.5]
    assert evaluation.summary.empty


def test_what_cannot_be_measured_is_refused(make_clip: Callable[..., Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip("a", "speech")
    with pytest.raises(ValueError, match="Opus takes any bitrate: choose some"):
        evaluate_baseline(Opus(), [clip])
    with pytest.raises(ValueError, match="Steps does not offer 9 kbps; it offers 8, 32 kbps"):
        evaluate_baseline(Steps(), [clip], [9])
    with pytest.raises(ValueError, match="no clip"):
        evaluate_baseline(Steps(), [])
    with pytest.raises(ValueError, match="two clips are named 'a'"):
        evaluate_baseline(Steps(), [clip, clip], metrics=[])
    monkeypatch.setattr(Steps, "transcode", lambda *_: (clip.audio, 5.0))
    with pytest.raises(ValueError, match="of 8, 32 kbps, two are the same for Steps"):
        evaluate_baseline(Steps(), [clip], metrics=[])
    monkeypatch.setattr(Steps, "available", lambda _: "Steps needs a ladder")
    with pytest.raises(RuntimeError, match="Steps needs a ladder"):
        evaluate_baseline(Steps(), [clip])


def test_bitrates_by_the_baselines_own_names() -> None:
    assert requested_rates(Steps(), [32.1, 8, 8.05]) == [8.0, 32.0]
    assert requested_rates(Opus(), [12, 6]) == [6.0, 12.0]


def test_made_by_name() -> None:
    spec = {"part": "Opus", "rate": "constant", "application": "voip", "channels": 2}
    assert describe_baseline(make_baseline(spec)) == spec
    for wrong, message in (
        ({"part": "opus"}, "no baseline 'opus' .did you mean Opus.*; there are: CommandBaseline, LyraV2, MP3, Opus"),
        ({}, "no baseline None"),
        ({"part": "Opus", "cbr": True}, "Opus has no argument cbr; it has: rate, application, channels"),
        ({"part": "CommandBaseline", "name": "x"}, "CommandBaseline needs encode, decode"),
    ):
        with pytest.raises(ValueError, match=message):
            make_baseline(wrong)


def test_a_metric_that_fails_is_counted(make_clip: Callable[..., Clip]) -> None:
    silent = Clip("silent", "speech", torch.zeros(1, 8000), 8000)
    evaluation = evaluate_baseline(Steps(), [silent], [8.0], ["visqol_audio"])
    assert math.isnan(evaluation.per_file["visqol_audio"][0])
    assert "silent" in evaluation.per_file["failures"][0]
