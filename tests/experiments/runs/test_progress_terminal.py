"""What a run shows in a terminal of 80 columns, a pseudo-terminal here: how fast it goes, and all losses on demand."""

import csv
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="pseudo-terminals are of Unix")

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """A terminal as standard error; the function closes it, and gives what was shown on it in words."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    ours, theirs = os.openpty()
    pieces: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux ends a terminal that nobody has open any more so
                return
            if not data:
                return
            pieces.append(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    screen = os.fdopen(theirs, "w", encoding="utf-8")

    def text_on_screen() -> str:
        screen.close()
        reader.join(timeout=60)
        return " ".join(ESCAPES.sub(" ", b"".join(pieces).decode()).split())

    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", screen)
        yield text_on_screen
    screen.close()
    os.close(ours)


@pytest.mark.parametrize("losses", ["main", "all"])
def test_the_bar_shows_throughput_and_all_losses_on_demand(losses, build, tmp_path, monkeypatch):
    with terminal(monkeypatch) as screen:
        build("encodec_24khz", 3, losses=losses, model__adversarial_start=0).execute()
        said = screen()
    assert re.search(r"3/3 \d:\d\d:\d\d left", said)
    last = said.rsplit(" left ", 1)[1]
    assert re.search(r"\d (batches/s|s/batch) ", last)
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    logged = {name.removeprefix("train/") for row in rows for name, value in row.items() if "train/" in name and value}
    assert {"spectral", "waveform", "adversarial"} <= logged  # and the discriminator's, in two of three batches
    named = {name for name in logged if re.search(rf"(^| ){re.escape(name)} [-\d]", last)}
    assert named == (logged if losses == "all" else logged & {"spectral", "discriminator"})
