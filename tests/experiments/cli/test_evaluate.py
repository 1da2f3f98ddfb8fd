"""``codeclab evaluate`` on a codec's folder and on a folder of audio."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from codeclab.codecs.codec import Codec
from codeclab.experiments.cli import main


@pytest.fixture
def codec_folder(tmp_path: Path) -> Path:
    codec = Codec.from_recipe("encodec_24khz", scale="laptop")
    codec.save(tmp_path / "codec")
    return tmp_path / "codec"


@pytest.fixture
def audio_folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for domain in ("speech", "music"):
        folder = tmp_path / "audio" / "test" / domain
        folder.mkdir(parents=True)
        for name in ("a", "b"):
            soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(24000), 24000)
    return tmp_path / "audio"


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *argv])
    return int(stopped.value.code or 0)


def test_figures_per_file_and_domain(
    codec_folder: Path, audio_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(audio_folder), "--metrics", "mel_distance", "si_snr", "bitrate_efficiency"]
    assert run(str(codec_folder), *arguments, "--bitrates", "1.5", "6", "--workers", "0", "--seconds", "0.5") == 0
    output = codec_folder / "evaluation"
    per_file = pd.read_csv(output / "per_file.csv")
    assert len(per_file) == 4 * 2
    assert set(per_file["domain"]) == {"speech", "music"}
    assert set(per_file["bitrate_kbps"]) == {1.5, 6.0}
    assert (per_file["seconds"] == 0.5).all()
    summary = pd.read_csv(output / "summary.csv")
    assert set(summary["domain"]) == {"speech", "music", "all"}
    together = summary[(summary["domain"] == "all") & (summary["metric"] == "mel_distance")]
    assert together["mean"].iloc[0] == pytest.approx(per_file.groupby("bitrate_kbps")["mel_distance"].mean().iloc[0])
    assert json.loads((output / "evaluation.json").read_text())["codec"]
    out = capsys.readouterr().out
    assert "mel" in out.lower()
    assert "\nmeasured on 4 clips of the test split of audio\n" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "mos"], "no metric mos (did you mean utmos?); there are: visqol_audio"),
        (["--bitrates", "5"], "the codec offers none of these bitrates; it offers 1.5, 3, 6, 12, 24 kbps"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_answered_in_one_line(
    codec_folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(codec_folder), *arguments) == 2
    answer = capsys.readouterr().err
    assert message in answer
    assert answer.count("\n") == 1


def test_figures_of_files_that_have_changed_are_kept_apart(
    codec_folder: Path, audio_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(codec_folder), "--data", str(audio_folder), "--bitrates", "6"]
    assert run(*words, "--metrics", "mel_distance") == 0
    assert run(*words, "--metrics", "si_snr") == 0
    assert "added to what was measured before" in capsys.readouterr().out
    sound = 0.1 * np.random.default_rng(9).standard_normal(24000)
    soundfile.write(audio_folder / "test" / "music" / "a.wav", sound, 24000)
    assert run(*words, "--metrics", "si_snr") == 0
    assert "the earlier figures are of another codec, other audio or another split" in capsys.readouterr().out
    now = pd.read_csv(codec_folder / "evaluation" / "per_file.csv")
    assert "mel_distance" not in now


def test_a_given_test_split_is_what_is_measured_by_default(
    codec_folder: Path, audio_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The codec is no run, and may have been trained on the files to train on."""
    files = sorted(audio_folder.rglob("*.wav"))
    for split, of_split in (("train", files[:3]), ("test", files[3:])):
        (tmp_path / "given" / split).mkdir(parents=True)
        for file in of_split:
            shutil.copy(file, tmp_path / "given" / split / f"{file.parent.name}_{file.name}")
    for subject in ([str(codec_folder)], ["--baseline", "Opus"]):
        words = ["--data", str(tmp_path / "given"), "--metrics", "si_snr", "--bitrates", "6"]
        assert run(*subject, *words, "-o", str(tmp_path / "out" / subject[-1].rpartition("/")[2])) == 0
        assert "\nmeasured on 1 clip of the test split of given\n" in capsys.readouterr().out


def test_a_baseline_by_its_name(audio_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(audio_folder), "--sample-rate", "24000", "--metrics", "si_sdr", "--workers", "0"]
    output = ["-o", str(tmp_path / "found")]
    assert run("--baseline", "Opus", "rate=constant", *arguments, *output, "--bitrates", "12", "24") == 0
    per_file = pd.read_csv(tmp_path / "found" / "per_file.csv")
    assert sorted(per_file["bitrate_kbps"].unique()) == pytest.approx([12, 24])
    assert len(per_file) == 4 * 2
    info = json.loads((tmp_path / "found" / "evaluation.json").read_text())
    assert info["baseline"] == {"part": "Opus", "rate": "constant", "application": "audio", "channels": None}
    assert "SI-SDR" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "name one thing to measure: a run, or a --baseline"),
        (["runs/mine", "--baseline", "Opus"], 2, "name one thing to measure"),
        (["--baseline", "AAC"], 2, "no baseline 'AAC'; there are: CommandBaseline, LyraV2, MP3, Opus"),
        (["--baseline", "Opuss"], 2, "no baseline 'Opuss' (did you mean Opus?)"),
        (["--baseline", "Opus", "off"], 2, "--baseline takes a name and then ARGUMENT=VALUE, not 'off'"),
        (["--baseline", "Opus"], 2, "Opus takes any bitrate: choose some, in kbps"),
        (["--baseline", "CommandBaseline", "file=evs"], 1, "EVS needs EVS_cod and EVS_dec on the PATH (compile"),
    ],
)
def test_mistakes_with_baselines(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert run(*arguments) == status
    answer = capsys.readouterr().err
    assert message in answer
    assert answer.count("\n") == 1


def test_a_folder_without_a_codec_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path / "nothing")) == 2
    assert "nothing" in capsys.readouterr().err
