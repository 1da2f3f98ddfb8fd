"""A table's command killed at every awkward moment, and two of them at once; the kills are exact, not timed.

One process imports everything and forks a child for each command, which kills itself where the scenario says.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow

FLAGS = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 2 --data.valid_clips 2 --data.clip_seconds 0.5 --trainer.limit_val_batches 0 "
    "--trainer.max_steps 4 --model.quantizer_start_frames 0 --trainer.val_check_interval 2"
)

DRIVER = r'''
import json, os, signal, sys
from pathlib import Path

from codeclab.codecs.codec import Codec
from codeclab.codecs.io import files
from codeclab.experiments.cli import table as _  # noqa: F401 (everything is imported before the forks)
from codeclab.experiments.cli import main
from codeclab.experiments.train.module import CodecExperiment
from codeclab.experiments.runner import perform

table, here = sys.argv[1], Path(sys.argv[2])


def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def in_training():
    step = CodecExperiment.training_step
    def killed(self, batch, batch_idx):
        # The batches timed for the plan have no loggers.
        return kill() if batch["batch"] == 3 and self.loggers else step(self, batch, batch_idx)

    CodecExperiment.training_step = killed


def writing_a_checkpoint():
    files.os.fsync = kill  # its content is written, and not yet renamed


def in_evaluation():
    evaluate, decode = perform.evaluate_on, Codec.decode

    def second(self, *arguments, **named):
        Codec.decode = kill
        return decode(self, *arguments, **named)

    def measured(*arguments, **named):
        Codec.decode = second
        return evaluate(*arguments, **named)

    perform.evaluate_on = measured


def writing(name):
    def patch():
        replace = Path.replace
        Path.replace = lambda self, target: kill() if Path(target).name == name else replace(self, target)

    return patch


def start(log, runs, rows, patch=None):
    """A child that runs the command."""
    pid = os.fork()
    if pid == 0:
        sink = os.open(here / f"{log}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(sink, 1), os.dup2(sink, 2)
        if patch:
            patch()
        try:
            main(["table", table, "--runs", str(here / runs), "--workers", "0", "--jobs", "1", "--rows", *rows])
        except SystemExit as end:
            os._exit(end.code)
    return pid


def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


ends = {}
for log, patch in (
    ("training", in_training),
    ("checkpoint", writing_a_checkpoint),
    ("evaluation", in_evaluation),
    ("result", writing("summary.csv")),
    ("table", writing("table.csv")),
    ("last", None),
):
    ends[log] = wait(start(log, "killed", ["one"], patch))
ends["whole"] = wait(start("whole", "whole", ["one"]))
both = [start(log, "shared", ["one", "two"]) for log in ("first", "second")]
ends["first"], ends["second"] = map(wait, both)
(here / "ends.json").write_text(json.dumps(ends))
'''


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all commands ran."""
    folder = tmp_path_factory.mktemp("runner")
    rows = [{"name": "One", "flags": FLAGS}, {"name": "Two", "flags": f"{FLAGS} --model.balancer.enabled false"}]
    table = folder / "kill.yaml"
    table.write_text(yaml.safe_dump({"title": "Killed", "source": "here", "metrics": ["si_snr"], "rows": rows}))
    environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DRIVER, str(table), str(folder)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


def test_a_command_killed_at_any_moment_is_continued_by_itself(here: Path) -> None:
    ends = json.loads((here / "ends.json").read_text())
    logs = {path.stem: path.read_text() for path in here.glob("*.log")}
    for log in ("training", "checkpoint", "evaluation", "result", "table"):
        assert ends[log] == -9, f"{log}: {logs[log]}"
    assert (ends["last"], ends["whole"]) == (0, 0), logs["last"] + logs["whole"]
    begun = {log: re.findall(r"training, (\d) batches", text) for log, text in logs.items()}
    # Killed in its fourth batch, then again while it wrote the checkpoint after it: both times two batches were kept.
    assert begun["training"] == ["4"]
    assert begun["checkpoint"] == begun["evaluation"] == ["2"]
    assert "batch 4/4" in logs["evaluation"]
    assert begun["result"] == begun["table"] == begun["last"] == []
    trained = set(logs) - {"first", "second"}
    assert "One  2 of 4 batches" in logs["evaluation"]
    # What was measured but not written whole is measured again, and what was is not.
    assert {log for log in trained if "measuring: done" in logs[log]} == {"result", "table", "whole"}


def test_what_was_killed_ends_as_what_was_not(here: Path) -> None:
    (killed,), (whole,) = (list((here / runs).glob("one-*")) for runs in ("killed", "whole"))
    for name in (
        "codec/model.safetensors",
        "tables/kill-one/per_file.csv",
        "tables/kill-one/summary.csv",
        "metrics.csv",
    ):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list((here / "killed").rglob("*.tmp"))
    assert {path.name for path in (here / "killed" / "kill-paper").iterdir()} == {
        *("table.md", "table.csv", "table.tex", "table.png", "table.json")
    }


def test_two_commands_at_once_make_every_row_once(here: Path) -> None:
    ends = json.loads((here / "ends.json").read_text())
    logs = [(here / f"{name}.log").read_text() for name in ("first", "second")]
    assert (ends["first"], ends["second"]) == (0, 0), logs
    for row in ("one", "two"):
        assert sum(len(re.findall(rf"{row}-\w+: batch 4/4", log)) for log in logs) == 1
    figures = pd.read_csv(here / "shared" / "kill-paper" / "table.csv")
    assert set(figures.dropna(subset="mean")["row"]) == {"One", "Two"}
    (alone,), (together,) = (list((here / runs).glob("one-*")) for runs in ("whole", "shared"))
    for name in ("codec/model.safetensors", "metrics.csv"):
        assert (alone / name).read_bytes() == (together / name).read_bytes()
