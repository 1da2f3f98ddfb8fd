"""Hours of training with what happens in hours: loaders killed, the disk full, the corpus away, W&B unreachable.

    python tests/experiments/runs/soak.py FOLDER --minutes 120

Each event in turn, again and again; after each, training goes on, or it has stopped with everything saved and said why,
and the same command continues it. Printed as JSON: the events with what became of them, and how memory grew, in MiB an
hour of each process' life (a slope by least squares). The disk is a small tmpfs, which needs root; without it the disk
is not filled.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from codeclab.experiments.data.named import RECORDINGS_FOLDER

DISK_MIB = 400
FLAGS = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 4 --model.decoder.n_filters 4 "
    "--model.quantizer_start 0 --model.quantizer_start_frames 0 --data.seconds 0.5 --data.batch_size 4 "
    "--data.workers 2 --data.valid_clips 2 --data.clip_seconds 1 --trainer.max_steps 1000000 "
    "--trainer.val_check_interval 100 --checkpoint_minutes 0.25 --name soak"
)
WANDB = {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40}
SETTLE, SAMPLE = 20.0, 5.0
"""Seconds after an event until the next, and between two looks at memory."""


class Soak:
    """A training and what is done to it.

    Args:
        folder: where it lives; must not be there.
        away: seconds that the disk is full, and the corpus away.
        seed: of the events' order.
    """

    def __init__(self, folder: Path, away: float, seed: int) -> None:
        self.corpus, self.disk, self.log = folder / "corpus", folder / "disk", folder / "log.txt"
        self.disk.mkdir(parents=True)
        shutil.copytree(RECORDINGS_FOLDER, self.corpus, ignore=shutil.ignore_patterns("manifest.csv"))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(self.disk)]
        mounted = subprocess.run(mount, capture_output=True, check=False)
        self.is_disk = mounted.returncode == 0
        self.away, self.rng = away, random.Random(seed)
        self.events: list[dict[str, object]] = []
        self.lives: list[list[tuple[float, float]]] = []
        self.begin()

    def begin(self) -> None:
        """Start, or continue, the training."""
        command = [sys.executable, "-m", "codeclab.experiments", "fit", *FLAGS.split()]
        command += ["--data", str(self.corpus), "--runs", str(self.disk / "runs")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=os.environ | WANDB, stdout=log, stderr=log)
        self.lives.append([])

    def wait(self, seconds: float) -> bool:
        """Look at memory for so long; returns whether the training still runs."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            self.lives[-1].append((time.monotonic(), memory(self.process.pid)))
            time.sleep(min(SAMPLE, max(until - time.monotonic(), 0.1)))
        return self.process.poll() is None

    def batches(self) -> int:
        """The last batch in ``metrics.csv``."""
        lines = (self.disk / "runs" / "soak" / "metrics.csv").read_text().splitlines()
        return int(lines[-1].split(",")[0]) if len(lines) > 1 else 0

    def trains(self, patience: float = 240.0) -> bool:
        """Whether more batches come; waits for them."""
        until = time.monotonic() + patience
        first = None
        while time.monotonic() < until and self.wait(2.0):
            try:
                now = self.batches()
            except (OSError, ValueError):
                continue
            first = now if first is None else first
            if now > first:
                return True
        return False

    def kill_loader(self) -> str:
        """SIGKILL one of the processes that read audio."""
        loaders = children(self.process.pid)
        if not loaders:
            return "no loader"
        os.kill(self.rng.choice(loaders), signal.SIGKILL)
        return ""

    def fill_disk(self) -> str:
        """Leave no byte free on the disk for a while."""
        if not self.is_disk:
            return "no disk of its own"
        ballast = self.disk / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(2**20))
        except OSError:
            self.wait(self.away)
        finally:
            ballast.unlink()
        return ""

    def take_corpus(self) -> str:
        """Rename the corpus for a while, as a mount that is lost."""
        hidden = self.corpus.with_name("away")
        self.corpus.rename(hidden)
        self.wait(self.away)
        hidden.rename(self.corpus)
        return ""

    def happen(self, name: str) -> None:
        """One event, and what became of the training."""
        before, size = self.batches(), self.log.stat().st_size
        skipped = getattr(self, name)()
        alive = self.wait(SETTLE) and self.trains()
        status = self.process.poll()
        said = self.log.read_bytes()[size:].decode(errors="replace").strip().splitlines()
        told = [line for line in said if "batch " not in line or "saved after" in line or "stopped" in line]
        became = skipped or ("goes on" if alive else f"stopped, status {status}")
        self.events.append({"event": name, "after_batch": before, "became": became, "said": told[-3:]})
        if status is not None:
            self.begin()
            continued = self.trains()
            self.events[-1]["continued_after"] = self.batches() if continued else "did not continue"

    def end(self) -> dict[str, object]:
        """Stop the training, as a scheduler would, and say how it all went."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(300)
        batches = self.batches()
        if self.is_disk:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)
        slopes = [round(slope, 1) for life in self.lives if (slope := growth(life)) is not None]
        return {"events": self.events, "batches": batches, "status": status, "mib_per_hour": slopes}


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    return [one for one in found if b"codeclab" in Path(f"/proc/{one}/cmdline").read_bytes()]


def memory(pid: int) -> float:
    """Resident memory of a process alone, MiB."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS")), float("nan"))


def growth(life: list[tuple[float, float]], warm_up: float = 60.0) -> float | None:
    """MiB an hour that a process grew after its first minute; None where it lived less than two more."""
    times, sizes = np.asarray(life, dtype=float).reshape(-1, 2).T
    kept = (times > times.min(initial=np.inf) + warm_up) & np.isfinite(sizes)
    if kept.sum() < 8 or np.ptp(times[kept]) < 120:
        return None
    return float(np.polyfit(times[kept] / 3600, sizes[kept], 1)[0])


def run() -> int:
    """The script; returns the exit status: 0 where every event was survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--away", type=float, default=60, help="seconds that the disk is full, and the corpus away")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    until = time.monotonic() + options.minutes * 60
    soak = Soak(options.folder, options.away, options.seed)
    try:
        assert soak.trains(600), soak.log.read_text()
        names = ["take_corpus", "fill_disk", "kill_loader"]
        while time.monotonic() < until:
            soak.happen(names[len(soak.events) % len(names)])
    finally:
        report = soak.end()
        print(json.dumps(report, indent=2))
    lost = [event for event in soak.events if event.get("continued_after") == "did not continue"]
    return 1 if lost or report["status"] != 128 + signal.SIGTERM else 0


if __name__ == "__main__":
    sys.exit(run())
