"""What tests of commands share."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codeclab.experiments.cli import main


@pytest.fixture
def run_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """``run_command(words)``: ``codeclab`` typed in an empty folder; status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def typed(*words: str) -> tuple[int, str, str]:
        before = list(sys.argv)
        with pytest.raises(SystemExit) as end:
            main(list(words))
        assert sys.argv == before
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return typed
