"""SIGKILL at random instants of each phase of a training, an evaluation and a table, then the same with none.

    python tests/experiments/runs/kill_at_random.py FOLDER --kills 20

One process imports everything and forks a child for each command, so that a kill falls into the work and not into the
imports. A child says when a drawn call of what it is to be killed in begins; the kill comes a drawn time later, and at
that call's end at the latest, where the child waits for it: so each kill falls into what it is for. Half of the kills
are in a folder whose training reads by a process of its own.
"""

import argparse
import itertools
import json
import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.experiments.cli import evaluate, fit, table  # noqa: F401 (imported before the forks)
from codeclab.experiments.cli.commands import main
from codeclab.experiments.runner import make_table, perform
from codeclab.experiments.runs.checkpoint import AtomicCheckpointIO
from codeclab.experiments.runs.measure import measure
from codeclab.experiments.train.module import CodecExperiment

FLAGS = (
    "--config encodec_24khz --scale laptop --data recordings --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 3 --data.valid_clips 2 --data.clip_seconds 0.5 --data.workers 0 --trainer.max_steps 24 "
    "--model.quantizer_start 0 --model.quantizer_start_frames 0 --trainer.val_check_interval 6 "
    "--trainer.precision 32-true --model.average_decay 0.9"
)
FILES = ("metrics.csv", "corpus.csv", "codec/model.safetensors", "codec/config.json")
STATE = ("state_dict", "optimizer_states", "global_step")


@dataclass(frozen=True)
class Phase:
    """What a command can be killed in.

    Attributes:
        command: that does it.
        targets: owner and name of the functions that are it.
        most: calls of which one is drawn; a command that begins has as many at least.
        seconds: that a call may take.
    """

    command: str
    targets: tuple[tuple[Any, str], ...]
    most: int
    seconds: float


PHASES = {
    "training": Phase("fit", ((CodecExperiment, "training_step"),), 6, 0.1),
    "validation": Phase("fit", ((CodecExperiment, "validation_step"),), 2, 0.1),
    "checkpoint": Phase("fit", ((AtomicCheckpointIO, "save_checkpoint"),), 3, 0.03),
    "evaluation": Phase("evaluate", ((measure, "evaluate_on"), (Evaluation, "save")), 1, 0.5),
    "table": Phase("table", ((perform, "evaluate_on"), (Evaluation, "save"), (make_table, "write_table")), 1, 0.5),
}
PATIENCE = 3600.0


@dataclass(frozen=True)
class Aim:
    """One kill.

    Attributes:
        phase: in which.
        index: index of one of its functions.
        call: of the child's calls of it, from 1.
        delay: seconds from its begin.
    """

    phase: str
    index: int
    call: int
    delay: float

    @classmethod
    def draw(cls, phase: str, rng: random.Random) -> "Aim":
        """One at random."""
        what = PHASES[phase]
        return cls(phase, rng.randrange(len(what.targets)), rng.randint(1, what.most), rng.uniform(0, what.seconds))

    def patch(self, report: Callable[[], None]) -> None:
        """Have this process tell when the call begins, and go no further than its end."""
        owner, name = PHASES[self.phase].targets[self.index]
        work, calls = getattr(owner, name), itertools.count(1)

        def aimed_at(*arguments: Any, **named: Any) -> Any:
            if next(calls) != self.call:
                return work(*arguments, **named)
            report()
            try:
                work(*arguments, **named)
            finally:
                time.sleep(PATIENCE)

        setattr(owner, name, aimed_at)


def commands(folder: Path, workers: int = 0) -> dict[str, list[str]]:
    """What is done in a folder, in its order: a training, its evaluation, and a table of another row.

    Args:
        folder: where.
        workers: processes that read for the training.
    """
    spec = folder / "kill.yaml"
    row = {"name": "One", "flags": f"{FLAGS} --trainer.max_steps 8 --trainer.val_check_interval 4"}
    spec.write_text(yaml.safe_dump({"title": "Killed", "source": "here", "metrics": ["si_snr"], "rows": [row]}))
    runs = ["--runs", str(folder / "runs")]
    return {
        "fit": ["fit", *FLAGS.split(), *runs, "--name", "run", "--data.workers", str(workers)],
        "evaluate": ["evaluate", str(folder / "runs" / "run"), "--metrics", "si_snr", "mel_distance", "--workers", "0"],
        "table": ["table", str(spec), *runs, "--workers", "0", "--jobs", "1", "-o", str(folder / "table")],
    }


def start(words: list[str], log: Path, aim: Aim | None = None) -> tuple[int, int]:
    """A child that runs a command; returns its process and a pipe, which tells when it is to be killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    if aim is not None:
        aim.patch(lambda: os.write(writing, b"."))
    status = 1
    try:
        main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(status)


def run_one(words: list[str], log: Path, aim: Aim | None = None) -> bool:
    """Run a command; returns whether it was killed as aimed, and else ended by itself, and well."""
    pid, reading = start(words, log, aim)
    with os.fdopen(reading, "rb", buffering=0) as reports:
        begun = bool(reports.read(1))  # nothing, where the child ended before
    if begun:
        assert aim is not None
        time.sleep(aim.delay)
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == (-signal.SIGKILL if begun else 0), f"{words[0]} ended with {status}: {log.read_text()}"
    return begun


def whole(folder: Path) -> None:
    """Run every command once."""
    for name, words in commands(folder).items():
        run_one(words, folder / f"{name}.log")


def broken(folder: Path, aims: list[Aim], workers: int) -> list[Aim]:
    """Run every command until it ends by itself, killed as aimed before; returns the aims that were met."""
    met = []
    for name, words in commands(folder, workers).items():
        log = folder / f"{name}.log"
        for aim in (aim for aim in aims if PHASES[aim.phase].command == name):
            if not run_one(words, log, aim):
                break  # it was done before the call came; the others are for another folder
            met.append(aim)
        run_one(words, log)
    return met


def state(run: Path) -> dict[str, object]:
    """What training left of a run."""
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return {key: checkpoint[key] for key in STATE} | {"best": checkpoint["callbacks"]["RunCheckpoint"]["best_score"]}


def content(path: Path) -> bytes | None:
    """What a file holds; None where there is none."""
    return path.read_bytes() if path.is_file() else None


def compare(left: Path, right: Path) -> list[str]:
    """Names of what differs between two folders of runs."""
    differing = []
    for run in sorted((left / "runs").iterdir()):
        other = right / "runs" / run.name
        if not (run / "config.yaml").is_file():
            continue
        figures = [path for kind in ("evaluation", "tables") for path in (run / kind).rglob("*.*")]
        files = [*FILES, *(str(path.relative_to(run)) for path in figures)]
        differing += [f"{run.name}/{name}" for name in files if content(run / name) != content(other / name)]
        try:
            torch.testing.assert_close(state(run), state(other), rtol=0, atol=0)
        except AssertionError as error:
            differing.append(f"{run.name}/last.ckpt: {str(error).splitlines()[0]}")
    tables = [folder / "table" / "table.csv" for folder in (left, right)]
    means = [[line.rsplit(",", 4)[0] for line in path.read_text().splitlines()] for path in tables]
    return differing + ["table.csv"] * (means[0] != means[1])


def run() -> int:
    """The script; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ |= {"WANDB_MODE": "disabled", "XDG_CACHE_HOME": str(options.folder / "cache")}
    torch.set_num_threads(1)
    folder, began = options.folder / "whole", time.monotonic()
    folder.mkdir(parents=True)
    whole(folder)
    rng = random.Random(options.seed)
    left = [Aim.draw(phase, rng) for phase, _ in zip(itertools.cycle(PHASES), range(options.kills), strict=False)]
    killed, differing, leftovers = dict.fromkeys(PHASES, 0), list[str](), list[str]()
    for again in itertools.count():
        if not left:
            break
        other = options.folder / f"broken{again}"
        other.mkdir()
        rng.shuffle(left)
        met = broken(other, left[: math.ceil(options.kills / 2)], workers=again % 2)
        for aim in met:
            killed[aim.phase] += 1
            left.remove(aim)
        differing += [f"{other.name}: {name}" for name in compare(folder, other)]
        leftovers += [str(path) for path in (other / "table").glob(".*.tmp")]
    report = {
        "seconds": time.monotonic() - began,
        "folders": again,
        "killed": killed,
        "differing": differing,
        "leftovers": leftovers,
    }
    print(json.dumps(report))
    return 1 if differing or leftovers else 0


if __name__ == "__main__":
    sys.exit(run())
