"""What commands say: the closest name, in any encoding, uncut in a pipe, and at once where nothing is computed."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.files import replacing
from codeclab.codecs.io.missing import located
from codeclab.experiments.cli import main
from codeclab.experiments.cli.commands import COMMANDS
from codeclab.experiments.config.files import config_path


def say(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "codeclab.experiments", *words]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, check=False)


@pytest.mark.parametrize(
    "words", [["recipes"], ["tables"], ["tables", "encodec_table5"], ["tables", "dac_table2"], ["--help"]]
)
def test_lists_come_without_torch(words):
    program = (
        "import sys\nfrom codeclab.experiments.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit: print('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    began = time.process_time(), os.times().children_user
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
    assert os.times().children_user - began[1] < 1.0


def test_the_help_of_every_command_comes_without_torch():
    program = (
        "import sys\nfrom codeclab.experiments.cli.commands import COMMANDS, main\n"
        "heavy = {'torch', 'lightning', 'pandas'}\n"
        "also = [['data', 'scan', '-h'], ['mushra', 'serve', '-h']]\n"
        "for words in [*([command, '--help'] for command in COMMANDS), *also]:\n"
        "    try: main(words)\n"
        "    except SystemExit as end: print('ended', end.code, *words, heavy & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ends = [line for line in done.stdout.splitlines() if line.startswith("ended ")]
    assert len(ends) == len(COMMANDS) + 2
    assert all(line.startswith("ended 0 ") and line.endswith(" set()") for line in ends), ends


def test_a_pipe_is_not_cut_and_any_encoding_will_do():
    lines = say("tables").stdout.decode().splitlines()
    assert max(map(len, lines)) > 100
    plain = say("tables", PYTHONIOENCODING="ascii")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.decode("ascii")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fti"], "no command 'fti' (did you mean fit?)"),
        (["fit", "--config", "encodec_24kz"], "no recipe 'encodec_24kz' (did you mean encodec_24khz?); there are: "),
        (["fit", "--config", "dac_44khz", "--scale", "min"], "no scale 'min' (did you mean mini?); there are: "),
        (["table", "dac_table22"], "no table 'dac_table22' (did you mean dac_table2?); there are: "),
        (["tables", "dac_table22"], "(did you mean dac_table2?)"),
        (["table", "dac_table2", "--rows", "Baselin"], "no row Baselin (did you mean Baseline?); it has: "),
        (["evaluate", "x", "--metrics", "si_srn"], "no metric si_srn (did you mean si_snr?); there are: "),
        (["fit", "--config", "dac_44khz", "--trainer.precision", "bf16-true"], "use 32-true or bf16-mixed"),
    ],
)
def test_the_closest_name_is_suggested(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def two_runs(tmp_path, monkeypatch):
    """``runs/good-run`` and ``runs/other``, worked in from above."""
    monkeypatch.chdir(tmp_path)
    for name in ("good-run", "other"):
        Codec.from_recipe("encodec_24khz", scale="laptop").save(tmp_path / "runs" / name / "codec")
        (tmp_path / "runs" / name / "config.yaml").write_text("data:\n  folder: recordings\n")


@pytest.mark.parametrize(
    "words",
    [
        ["report", "{}"],
        ["evaluate", "{}"],
        ["compare", "{}", "Opus"],
        ["mushra", "prepare", "{}", "-o", "test"],
        ["fit-lm", "--codec", "{}"],
        ["encode", "a.wav", "a.clc", "--codec", "{}"],
        ["stream", "encode", "--codec", "{}"],
        ["speed", "inference", "--codec", "{}"],
        ["export", "{}", "out"],
        ["fit", "--config", "encodec_24khz", "--scale", "laptop", "--init", "{}"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("name", ["god-run", "runs/god-run"])
def test_a_run_that_is_not_there_is_answered_by_those_that_are(words, name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("good-run", "other"):
        Path("runs", run).mkdir(parents=True)
    Path("a.wav").touch()
    with pytest.raises(SystemExit) as ended:
        main([word.format(name) for word in words])
    assert ended.value.code == 2
    said = f"there is no {name} (did you mean runs/good-run?); runs holds: good-run, other"
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_run_is_found_by_its_name_alone(two_runs, capsys):
    clips = ["--clips", "1", "--seconds", "0.2", "--workers", "0", "--bitrates", "1.5", "--metrics", "si_snr"]
    numpy_audio = np.random.default_rng(0).standard_normal(4800) * 0.1
    soundfile.write("a.wav", numpy_audio, 24000)
    for words in (
        ["evaluate", "good-run", *clips],
        ["compare", "good-run", "other", *clips, "-o", "compared"],
        ["report", "good-run", "--clips", "0", "-o", "report.html"],
        ["encode", "a.wav", "a.clc", "--codec", "good-run"],
        ["export", "good-run", "out"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0, (words, capsys.readouterr().err)
    assert Path("runs/good-run/evaluation/evaluation.json").is_file()
    assert {row for row in pd.read_csv("compared/table.csv")["row"]} == {"good-run", "other"}
    assert config_path("good-run") == Path("runs/good-run/config.yaml")
    Path("runs/encodec_24khz").mkdir()
    assert config_path("encodec_24khz").parent.name == "recipes"  # a recipe's name goes first
    Path("other").mkdir()
    assert located("other") == Path("other")  # and so does what lies here


def test_what_is_no_tensor_is_answered_in_a_line():
    codec = Codec.from_recipe("encodec_24khz", scale="laptop").eval()
    codes = codec.encode(torch.zeros(1, 1, 2400))
    with pytest.raises(ValueError, match="codes are a ndarray; a decoder takes the Codes of an encoder; for files: "):
        codec.decode(np.zeros((1, 2, 3)))
    with pytest.raises(TypeError, match=r"audio is a ndarray; it should be a tensor \[B, C, N\], as torch.from_numpy"):
        codec(np.zeros((1, 1, 2400), np.float32))
    with pytest.raises(ValueError, match=r"reference is a str; it should be a tensor \[C, N\]"):
        METRICS["si_snr"].load()("a.wav", "b.wav", 24000)
    for kind in ("float16", "float64"):
        codec.to(getattr(torch, kind))
        with pytest.raises(ValueError, match=f"cast to {kind}, but its quantizer computes in float32: call .float"):
            codec.encode(torch.zeros(1, 1, 2400))
        with pytest.raises(ValueError, match="call .float"):
            codec.decode(codes)
        with pytest.raises(ValueError, match=f"cast to {kind}, but its quantizer computes in float32: call .float"):
            codec(torch.zeros(1, 1, 2400))


def test_files_have_the_mode_that_the_umask_says(tmp_path: Path):
    codec = Codec.from_recipe("encodec_24khz", scale="laptop")
    before = os.umask(0o027)
    try:
        codec.save(tmp_path / "codec")
        codec.encode(torch.zeros(1, 1, 2400)).save(tmp_path / "a.codes")
        with replacing(tmp_path / "b.txt") as path:
            path.write_text("b")
    finally:
        os.umask(before)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o640}
    assert len(written) == 4
