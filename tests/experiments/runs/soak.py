"""Hours of training with what happens in hours: loaders killed, the disk full, the corpus away, W&B unreachable.

    python tests/experiments/runs/soak.py FOLDER --minutes 120

First nothing is done for a third of the time: what memory does by itself. Then each event in turn, again and again;
after each, training goes on, or it has stopped with everything saved and said why, and the same command continues it.
Printed as JSON: the events with what became of them, and how memory grew in the third that was left alone, of the
training itself and together with its loaders. The disk is a small tmpfs, which needs root; without it the disk is not
filled.
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
from scipy.stats import theilslopes

from codeclab.experiments.data.named import RECORDINGS_FOLDER

DISK_MIB = 400
WARM_UP = 150
"""Batches until memory is measured: three validations and their checkpoints."""

PATIENCE = 1800.0
"""Seconds in which another batch must have come; the core may be shared with much else."""

DISCRIMINATORS = '[{"class_path": "MSSTFTDiscriminator", "init_args": {"n_filters": 2, "n_ffts": [256, 128]}}]'
FLAGS = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --model.encoder.dimension 8 "
    "--model.quantizer.codebook_size 16 --model.quantizer.n_codebooks 8 --model.bitrates [0.6,2.4] --model.bitrate 2.4 "
    "--model.rate_sampling.bitrates [0.6,2.4] --model.adversarial_start 0 "
    "--model.quantizer_start 0 --model.quantizer_start_frames 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.workers 2 --data.valid_clips 2 --data.clip_seconds 0.5 --trainer.max_steps 1000000 "
    "--trainer.val_check_interval 50 --checkpoint_minutes 0.25 --name soak"
)
WANDB = {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40}
SETTLE, SAMPLE = 20.0, 5.0
"""Seconds after an event until the next, and between two looks at memory."""

Look = tuple[float, int, float, float]
"""Seconds, batches done, MiB of the training's process, MiB of it and its loaders."""


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
        self.looks: list[Look] = []
        self.begin()

    def begin(self) -> None:
        """Start, or continue, the training."""
        command = [
            sys.executable,
            "-m",
            "codeclab.experiments",
            "fit",
            *FLAGS.split(),
            "--model.discriminators",
            DISCRIMINATORS,
        ]
        command += ["--data", str(self.corpus), "--runs", str(self.disk / "runs")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=os.environ | WANDB, stdout=log, stderr=log)

    def wait(self, seconds: float) -> bool:
        """Let it train for so long; returns whether it still runs."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            time.sleep(min(SAMPLE, max(until - time.monotonic(), 0.1)))
        return self.process.poll() is None

    def watch(self, seconds: float) -> bool:
        """Let it train for so long and look at its memory; returns whether it still runs."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.wait(SAMPLE):
            pids = [self.process.pid, *children(self.process.pid)]
            sizes = [memory(pid) for pid in pids]
            self.looks.append((time.monotonic(), self.batches(), sizes[0], sum(sizes)))
        return self.process.poll() is None

    def batches(self) -> int:
        """The last batch in ``metrics.csv``."""
        lines = (self.disk / "runs" / "soak" / "metrics.csv").read_text().splitlines()
        return int(lines[-1].split(",")[0]) if len(lines) > 1 else 0

    def trains(self, patience: float = PATIENCE) -> bool:
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
        """Rename the corpus for a while; every second time it leaves an empty folder, like that of a bind mount."""
        hidden = self.corpus.with_name("away")
        stays = sum(event["event"] == "take_corpus" for event in self.events) % 2 == 1
        self.corpus.rename(hidden)
        if stays:
            self.corpus.mkdir()
        self.wait(self.away)
        if stays:
            self.corpus.rmdir()
        hidden.rename(self.corpus)
        return ""

    def happen(self, name: str) -> None:
        """One event, and what became of the training."""
        before, size = self.batches(), self.log.stat().st_size
        skipped = getattr(self, name)()
        alive = self.wait(SETTLE) and self.trains()
        status = self.process.poll()
        said = self.log.read_bytes()[size:].decode(errors="replace").strip().splitlines()
        lines = [line for line in said if "batch " not in line or "saved after" in line or "stopped" in line]
        became = skipped or ("goes on" if alive else f"stopped, status {status}")
        self.events.append({"event": name, "after_batch": before, "became": became, "said": lines[-3:]})
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
        memory_of = {"training": growth(self.looks, 2), "with its loaders": growth(self.looks, 3)}
        return {"events": self.events, "batches": batches, "status": status, "memory": memory_of}


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(word) for word in task.read_text().split()]
    return [one for one in children if b"codeclab" in Path(f"/proc/{one}/cmdline").read_bytes()]


def memory(pid: int) -> float:
    """Memory of a process, MiB: what it shares with others counted in part (PSS); 0 where it has ended.

    Pages of files are left out: those of libraries weigh more as soon as another program that uses them ends.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    counted = ("Pss_Anon:", "Pss_Shmem:")
    return sum(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(counted))


def growth(looks: list[Look], column: int) -> dict[str, object] | None:
    """How one of the two sizes grew after the warm-up: the median slope (Theil and Sen) and its 95 % interval.

    The slope is that of the means of ten parts of the time, because looks that follow each other say the same. None
    where fewer than 30 looks are left.
    """
    settled = np.asarray([look for look in looks if look[1] >= WARM_UP], dtype=float)
    if len(settled) < 30:
        return None
    means = np.asarray([part.mean(axis=0) for part in np.array_split(settled, 10)])
    hours = means[:, 0] / 3600
    slope, _, low, high = theilslopes(means[:, column], hours)
    batches = float(np.polyfit(hours, means[:, 1], 1)[0])
    return {
        "mib_per_hour": round(slope, 2),
        "interval_95": [round(low, 2), round(high, 2)],
        "mib_per_1000_batches": round(1000 * slope / batches, 3),
        "mib": [round(value, 1) for value in means[:, column]],
        "minutes": round(float(np.ptp(settled[:, 0])) / 60, 1),
        "batches": int(np.ptp(settled[:, 1])),
        "looks": len(settled),
    }


def run() -> int:
    """The script; returns the exit status: 0 where every event was survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--away", type=float, default=60, help="seconds that the disk is full, and the corpus away")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    soak = Soak(options.folder, options.away, options.seed)
    try:
        assert soak.trains(), soak.log.read_text()
        until = time.monotonic() + options.minutes * 60
        assert soak.watch(options.minutes * 60 / 3), soak.log.read_text()
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
