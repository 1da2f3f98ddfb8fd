"""Two tables at once, in two processes, with a row in common: it is made once, and both have all of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

FLAGS = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 2 --data.valid_clips 2 --data.clip_seconds 0.5 --trainer.limit_val_batches 0 "
    "--trainer.max_steps 2 --model.quantizer_start_frames 0 --trainer.val_check_interval 2"
)

DRIVER = r"""
import os, sys, time
from pathlib import Path

from codeclab.experiments.cli import main
from codeclab.experiments.cli import table as _  # noqa: F401 (everything is imported before the forks)
from codeclab.experiments.runner import baseline_rows, perform

here = Path(sys.argv[1])
measure, build = baseline_rows.evaluate_on, perform.build_resolved


def waiting():
    return "waiting: process" in (here / "second.log").read_text()


def until_the_other_waits(name, work):
    def do(*arguments, **named):
        with (here / "made.txt").open("a") as file:
            file.write(f"{name} {os.getpid()}\n")
        (here / "begun").touch()
        until = time.monotonic() + 120
        while not waiting() and time.monotonic() < until:
            time.sleep(0.05)
        return work(*arguments, **named)

    return do


def start(name):
    pid = os.fork()
    if pid == 0:
        sink = os.open(here / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(sink, 1), os.dup2(sink, 2)
        baseline_rows.evaluate_on = until_the_other_waits("measured", measure)
        perform.build_resolved = until_the_other_waits("trained", build)
        words = ["table", str(here / f"{name}.yaml"), "--runs", str(here / "runs"), "--workers", "0", "--jobs", "1"]
        try:
            main(words)
        except SystemExit as end:
            os._exit(end.code)
    return pid


(here / "second.log").touch()
first = start("first")
while not (here / "begun").exists():
    time.sleep(0.05)
    assert os.waitpid(first, os.WNOHANG) == (0, 0), (here / "first.log").read_text()
ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in (first, start("second"))]
(here / "ends.txt").write_text(f"{first} {ends}")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "made"),
    [
        ({"name": "Shared", "baseline": {"part": "MP3"}, "bitrates": [64]}, "measured"),
        ({"name": "Shared", "flags": FLAGS}, "trained"),
    ],
    ids=["a baseline", "a trained row"],
)
def test_two_tables_at_once_make_the_row_they_share_once(tmp_path: Path, row: dict[str, object], made: str) -> None:
    for name in ("first", "second"):
        content = {"title": name, "source": "here", "metrics": ["si_snr"], "sample_rate": 24000, "rows": [row]}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "driver.py").write_text(DRIVER)
    environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr + (tmp_path / "first.log").read_text()
    process, _, ends = (tmp_path / "ends.txt").read_text().partition(" ")
    assert json.loads(ends) == [0, 0], (tmp_path / "second.log").read_text()
    assert f"waiting: process {process} on " in (tmp_path / "second.log").read_text()
    assert (tmp_path / "made.txt").read_text() == f"{made} {process}\n"
    figures = [pd.read_csv(tmp_path / "runs" / f"{name}-paper" / "table.csv") for name in ("first", "second")]
    assert len(figures[0]) > 0
    scores = [frame[frame["metric"] == "si_snr"].reset_index(drop=True) for frame in figures]
    pd.testing.assert_frame_equal(*scores)
