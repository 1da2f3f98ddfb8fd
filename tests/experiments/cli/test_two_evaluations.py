"""Two evaluations of one baseline at once, real processes that keep into one folder: each result is whole."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from codeclab.benchmarks.evaluate.evaluation import Evaluation

# Both measure first and begin to keep at the same time: each waits until the other has measured, too.
DRIVER = """
import sys, time
from pathlib import Path

from codeclab.experiments.cli import evaluate

here, name, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
keep = evaluate.keep


def both_at_once(found, folder):
    (here / name).touch()
    until = time.monotonic() + 300
    while not (here / other).exists():
        assert time.monotonic() < until, f"{other} never came"
        time.sleep(0.01)
    return keep(found, folder)


evaluate.keep = both_at_once
raise SystemExit(evaluate.run("evaluate", sys.argv[4:]))
"""


def test_two_baselines_at_once_are_each_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(4):
        path = tmp_path / "audio" / "test" / "noise" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(12000), 24000)
    train = tmp_path / "audio" / "train" / "noise" / "4.wav"
    train.parent.mkdir(parents=True)
    soundfile.write(train, 0.1 * rng.standard_normal(12000), 24000)
    common = ["--baseline", "Opus", "--data", "audio", "--sample-rate", "24000", "--workers", "0"]
    options = {
        "first": ["--bitrates", "12", "--metrics", "si_sdr", "--split", "test"],
        "second": ["--bitrates", "24", "--metrics", "mel_distance", "--split", "test"],
    }
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path), name, other, *common, *options[name]],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name, other in (("first", "second"), ("second", "first"))
    }  # fmt: skip
    said = {name: process.communicate(timeout=600) for name, process in processes.items()}
    assert [process.returncode for process in processes.values()] == [0, 0], said
    (there,) = (tmp_path / "evaluations").glob("Opus*")
    whole = Evaluation.load(there)
    assert whole.info["requested_kbps"] == [12.0, 24.0]
    assert sorted(whole.info["metrics"]) == ["mel_distance", "si_sdr"]
    counts = whole.per_file.groupby("requested_kbps")[["si_sdr", "mel_distance"]].count()
    assert counts.loc[[12.0, 24.0]].values.tolist() == [[4, 0], [0, 4]]
    assert sorted("added to what was measured before" in out for out, _ in said.values()) == [False, True]
    assert not list(there.parent.rglob("*.tmp"))
