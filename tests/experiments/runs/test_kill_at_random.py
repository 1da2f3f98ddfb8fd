"""Twenty SIGKILLs at random instants change nothing of what a training, an evaluation and a table end with."""

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
    assert sum(report["killed"].values()) >= 20
