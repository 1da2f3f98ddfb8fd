"""Twenty SIGKILLs at random instants of training, validation, checkpoint, evaluation and table change nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_twenty_kills_at_random_change_nothing(tmp_path: Path) -> None:
    script = Path(__file__).with_name("kill_at_random.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "kills"), "--kills", "20"],
        capture_output=True, text=True, timeout=3600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["differing"] == report["leftovers"] == []
    assert sum(report["killed"].values()) == 20
    assert report["killed"].keys() == {"training", "validation", "checkpoint", "evaluation", "table"}
    assert min(report["killed"].values()) >= 1
    assert report["folders"] >= 2  # of which one read by a process of its own
