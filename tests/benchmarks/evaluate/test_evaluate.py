import json
import math
import subprocess
import sys

import pandas as pd
import pytest
import torch

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.evaluate import evaluate, offered
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.judge import match_channels
from codeclab.benchmarks.metrics.registry import DEFAULT_METRICS, METRICS, metrics_named
from codeclab.benchmarks.tables.render import evaluation_text

CODE_METRICS = ["bitrate_efficiency", "codebook_usage"]


def test_one_row_per_clip_and_true_bitrate(fake_codec, make_clip) -> None:
    clips = [make_clip("a", "speech"), make_clip("b", "music", sample_rate=16000, channels=2)]
    evaluation = evaluate(fake_codec(), clips, metrics=["si_sdr", *CODE_METRICS])
    table = evaluation.per_file
    assert list(table.columns) == ["name", "domain", "seconds", "bitrate_kbps", "n_codebooks", "si_sdr", "failures"]
    assert list(zip(table.name, table.bitrate_kbps, table.n_codebooks, strict=True)) == [
        ("a", 16.0, 1),
        ("a", 64.0, 4),
        ("b", 16.0, 1),
        ("b", 64.0, 4),
    ]
    assert (table.seconds == 1.5).all()
    assert (table.failures == "").all()
    # More bits must help, at the clip's own rate too.
    assert table.si_sdr[1] > table.si_sdr[0] + 1
    assert table.si_sdr[3] > table.si_sdr[2] + 1


def test_the_codec_is_measured_in_evaluation_mode_and_left_as_it_was(fake_codec, make_clip) -> None:
    codec = fake_codec().train()
    codec.quantizer_part = torch.nn.Identity().eval()
    evaluation = evaluate(codec, [make_clip("a", "speech")], metrics=["si_sdr"])
    assert evaluation.per_file.si_sdr[1] > 0  # its dropout would leave noise
    modes = [codec.training, codec.dropout.training, codec.quantizer_part.training]
    assert modes == [True, True, False]


def test_a_metric_that_fails_is_missing_with_its_reason_and_counted(fake_codec, make_clip, monkeypatch) -> None:
    def picky(reference, estimate, sample_rate):
        if reference.shape[-1] < 8000:
            raise ValueError("too short; needs\n1 s")
        return math.inf if reference.abs().max() == 0 else 2.0

    monkeypatch.setattr("codeclab.benchmarks.metrics.si_snr.si_snr", picky)
    clips = [
        make_clip("good", "speech"),
        make_clip("short", "speech", seconds=0.5),
        Clip("silent", "music", torch.zeros(1, 9000), 8000),
    ]
    evaluation = evaluate(fake_codec(), clips, bitrates=[16.0], metrics=["si_snr", "visqol_audio"])
    by_name = evaluation.per_file.set_index("name")
    assert by_name.si_snr["good"] == 2.0
    assert by_name.failures["good"] == ""
    assert math.isnan(by_name.si_snr["short"])
    assert by_name.failures["short"].startswith("si_snr: too short, needs 1 s; visqol_audio: Reference spectrum size")
    assert by_name.failures["silent"] == "si_snr: the score is inf; visqol_audio: the reference is silent"
    summary = evaluation.summary.set_index(["domain", "metric"])
    assert summary.loc[("all", "si_snr"), ["mean", "n", "failed"]].tolist() == [2.0, 1, 2]
    assert summary.loc[("music", "si_snr"), "n"] == 0
    assert math.isnan(summary.loc[("music", "si_snr"), "mean"])


def test_workers_give_the_same_scores(fake_codec, make_clip) -> None:
    clips = [make_clip("a", "speech"), make_clip("short", "speech", seconds=0.3), make_clip("c", "music")]
    metrics = ["visqol_audio", "si_sdr"]
    alone = evaluate(fake_codec(), clips, metrics=metrics, workers=0)
    helped = evaluate(fake_codec(), iter(clips), metrics=metrics, workers=1)
    pd.testing.assert_frame_equal(alone.per_file, helped.per_file, check_exact=True)
    assert alone.per_file.visqol_audio.isna().sum() == 2


def test_efficiency_and_usage_by_hand(fake_codec) -> None:
    # Of the coarsest codebook's 16 entries, 8 and 7 are met equally often: one bit of four, 2 entries of 16.
    wave = torch.tensor([0.01, 0.01, -0.01, -0.01]).repeat(500)[None]
    evaluation = evaluate(fake_codec(), [Clip("square", "speech", wave, 8000)], [16.0], metrics=CODE_METRICS)
    together = evaluation.codebooks[evaluation.codebooks.codebook == "all"]
    assert list(together.domain) == ["all", "speech"]
    assert together.efficiency.tolist() == pytest.approx([0.25, 0.25])
    assert together.usage.tolist() == pytest.approx([2 / 16, 2 / 16])
    assert together.entropy_bits.tolist() == pytest.approx([1, 1])
    coarsest = evaluation.codebooks[evaluation.codebooks.codebook == "1"]
    assert coarsest.efficiency.tolist() == pytest.approx([0.25, 0.25])
    printed = evaluation_text(evaluation)
    assert "25.0%" in printed
    assert "not ranked" not in printed
    summary = evaluation.summary.set_index(["domain", "metric"])["mean"]
    assert summary["all", "bitrate_efficiency"] == pytest.approx(0.25)
    assert summary["speech", "codebook_usage"] == pytest.approx(0.125)


def test_saved_and_loaded_it_is_the_same(fake_codec, make_clip, tmp_path) -> None:
    clips = [make_clip("NA", "speech"), make_clip("007", "nan", seconds=0.3)]
    evaluation = evaluate(fake_codec(), clips, metrics=["visqol_audio", "si_sdr", *CODE_METRICS])
    evaluation.save(tmp_path / "new" / "folder")
    again = Evaluation.load(tmp_path / "new" / "folder")
    pd.testing.assert_frame_equal(evaluation.per_file, again.per_file, rtol=1e-12)
    pd.testing.assert_frame_equal(evaluation.codebooks, again.codebooks, rtol=1e-12)
    pd.testing.assert_frame_equal(evaluation.summary, again.summary, rtol=1e-12)
    assert evaluation.info == again.info
    names = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert names == ["codebooks.csv", "evaluation.json", "per_file.csv", "summary.csv"]
    info = json.loads((tmp_path / "new" / "folder" / "evaluation.json").read_text())
    assert info["visqol_mapping"] == {"visqol_audio": "svr"}
    assert info["versions"]["visqol-python"]
    assert "auraloss" not in info["versions"]  # no metric computes with it
    (tmp_path / "new" / "folder" / "per_file.csv").unlink()
    with pytest.raises(ValueError, match="per_file.csv missing"):
        Evaluation.load(tmp_path / "new" / "folder")


def test_mono_clips_suit_a_stereo_codec(fake_codec, make_clip) -> None:
    clip = make_clip("a", "music")
    mono = evaluate(fake_codec(1), [clip], metrics=["si_sdr"]).per_file
    stereo = evaluate(fake_codec(2), [clip], metrics=["si_sdr"]).per_file
    assert stereo.si_sdr.tolist() == pytest.approx(mono.si_sdr.tolist(), abs=1e-4)
    with pytest.raises(ValueError, match="has 3 channels; the codec takes 2"):
        match_channels(torch.zeros(3, 10), 2, "x")


def test_progress_is_two_lines_off_a_terminal(fake_codec, make_clip, capsys) -> None:
    evaluate(fake_codec(), [make_clip("a", "speech")], metrics=["si_sdr"], progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0] == "evaluate: 2 clips"


def test_refusals(fake_codec, make_clip) -> None:
    clip = make_clip("a", "speech")
    with pytest.raises(ValueError, match="no metric visqol .did you mean visqol_audio.*; there are: visqol_audio"):
        evaluate(fake_codec(), [clip], metrics=["visqol"])
    with pytest.raises(ValueError, match="named twice"):
        evaluate(fake_codec(), [clip], metrics=["si_sdr", "si_sdr"])
    with pytest.raises(ValueError, match="two clips are named 'a'"):
        evaluate(fake_codec(), [clip, clip], metrics=["si_sdr"])
    with pytest.raises(ValueError, match="no clip"):
        evaluate(fake_codec(), [], metrics=["si_sdr"])
    with pytest.raises(ValueError, match="no bitrate"):
        offered(fake_codec(), [])
    with pytest.raises(ValueError, match="not offered"):
        offered(fake_codec(), [3.0])
    with pytest.raises(ValueError, match="workers is -1"):
        evaluate(fake_codec(), [clip], metrics=["si_sdr"], workers=-1)


def test_every_metric_loads_and_default_ones_exist() -> None:
    assert [metric.name for metric in metrics_named(DEFAULT_METRICS)] == list(DEFAULT_METRICS)
    tone = torch.sin(torch.arange(24000) / 20)[None]
    for metric in METRICS.values():
        if metric.per_file and not metric.mapping and not metric.missing:
            assert isinstance(metric.load()(tone, tone + 0.01 * torch.randn_like(tone), 24000), float)
    with pytest.raises(ValueError, match="whole test set"):
        METRICS["codebook_usage"].load()


def test_worker_processes_need_not_import_torch() -> None:
    code = "import sys, codeclab.benchmarks.metrics.visqol_port; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "speech", torch.zeros(1, 4), 8000), "neither should be empty"),
        (("a", "speech", torch.zeros(4), 8000), r"floats \[C, N\]"),
        (("a", "speech", torch.zeros(1, 0), 8000), r"floats \[C, N\]"),
        (("a", "speech", torch.zeros(1, 4, dtype=torch.int16), 8000), "torch.int16"),
        (("a", "speech", torch.zeros(1, 4), 0), "is 0 Hz; it should be positive"),
    ],
)
def test_a_clip_refuses_what_cannot_be_measured(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        Clip(*arguments)
