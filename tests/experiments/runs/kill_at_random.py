"""SIGKILL at random instants of a training, an evaluation and a table, then the same with none: both must end alike.

    python tests/experiments/runs/kill_at_random.py FOLDER --kills 20

One process imports everything and forks a child for each command, so that a kill falls into the work and not into the
imports. Instants are uniform over the time that the command takes when nobody kills it.
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import yaml

from codeclab.experiments.cli import evaluate, fit, table  # noqa: F401 (imported before the forks)
from codeclab.experiments.cli.commands import main

FLAGS = (
    "--config encodec_24khz --scale laptop --data recordings --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.batch_size 2 "
    "--data.max_test_clips 3 --data.valid_clips 2 --data.clip_seconds 0.5 --data.workers 0 --trainer.max_steps 24 "
    "--model.quantizer_start 0 --model.quantizer_start_frames 0 --trainer.val_check_interval 6 "
    "--trainer.precision 32-true --model.average_decay 0.9"
)
STATE = ("state_dict", "optimizer_states", "global_step")


def commands(folder: Path) -> dict[str, list[str]]:
    """What is done in a folder, in its order: a training, its evaluation, and a table of another row."""
    spec = folder / "kill.yaml"
    row = {"name": "One", "flags": f"{FLAGS} --trainer.max_steps 8 --trainer.val_check_interval 4"}
    spec.write_text(yaml.safe_dump({"title": "Killed", "source": "here", "metrics": ["si_snr"], "rows": [row]}))
    runs = ["--runs", str(folder / "runs")]
    return {
        "fit": ["fit", *FLAGS.split(), *runs, "--name", "run"],
        "evaluate": ["evaluate", str(folder / "runs" / "run"), "--metrics", "si_snr", "mel_distance", "--workers", "0"],
        "table": ["table", str(spec), *runs, "--workers", "0", "--jobs", "1", "-o", str(folder / "table")],
    }


def start(words: list[str], log: Path) -> int:
    """A child that runs a command."""
    pid = os.fork()
    if pid == 0:
        sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        status = 1
        try:
            main(words)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        finally:
            os._exit(status)
    return pid


def ended(pid: int, patience: float) -> int | None:
    """The exit status of a child; None where it still runs after so many seconds."""
    until = time.monotonic() + patience
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.005)


def whole(folder: Path) -> dict[str, float]:
    """Run every command once; returns the seconds each took."""
    took = {}
    for name, words in commands(folder).items():
        began = time.monotonic()
        status = ended(start(words, folder / f"{name}.log"), 3600)
        assert status == 0, f"{name} ended with {status}: {(folder / f'{name}.log').read_text()}"
        took[name] = time.monotonic() - began
    return took


def broken(folder: Path, took: dict[str, float], kills: int, rng: random.Random) -> dict[str, int]:
    """Run every command until it ends by itself, killed at random before; returns how often each was killed."""
    killed = dict.fromkeys(took, 0)
    total = sum(took.values())
    for name, words in commands(folder).items():
        left = max(round(kills * took[name] / total), 1)
        while True:
            pid = start(words, folder / f"{name}.log")
            status = ended(pid, rng.uniform(0.1, took[name]) if left else 3600)
            if status is None:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                killed[name] += 1
                left -= 1
                continue
            assert status == 0, f"{name} ended with {status}: {(folder / f'{name}.log').read_text()}"
            if not left or killed[name] >= kills:
                break
            left -= 1  # it was done before its instant came
    return killed


def state(run: Path) -> dict[str, object]:
    """What training left of a run."""
    kept = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return {key: kept[key] for key in STATE} | {"best": kept["callbacks"]["RunCheckpoint"]["best_score"]}


def compare(left: Path, right: Path) -> list[str]:
    """Names of what differs between two folders of runs."""
    differing = []
    for run in sorted((left / "runs").iterdir()):
        other = right / "runs" / run.name
        if not (run / "config.yaml").is_file():
            continue
        files = ["metrics.csv", "codec/model.safetensors"]
        files += [str(path.relative_to(run)) for path in run.rglob("per_file.csv")]
        differing += [
            f"{run.name}/{name}" for name in files if (run / name).read_bytes() != (other / name).read_bytes()
        ]
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
    place = options.folder / "whole"
    place.mkdir(parents=True)
    took, rng = whole(place), random.Random(options.seed)
    killed, differing, leftovers = dict.fromkeys(took, 0), list[str](), list[str]()
    # Again from the start, where commands were done before their instants.
    for again in itertools.count():
        if sum(killed.values()) >= options.kills:
            break
        other = options.folder / f"broken{again}"
        other.mkdir()
        for name, count in broken(other, took, options.kills - sum(killed.values()), rng).items():
            killed[name] += count
        differing += [f"{other.name}: {name}" for name in compare(place, other)]
        leftovers += [str(path) for path in (other / "table").glob(".*.tmp")]
    report = {"seconds": took, "killed": killed, "differing": differing, "leftovers": leftovers}
    print(json.dumps(report))
    return 1 if differing or leftovers else 0


if __name__ == "__main__":
    sys.exit(run())
