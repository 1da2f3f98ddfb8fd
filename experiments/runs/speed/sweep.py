"""Training steps over the values of one size: their time, memory, and share of what the machine can do."""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from codeclab.benchmarks.speed.arithmetic import Arithmetic
from codeclab.benchmarks.speed.machine import measure_limits
from codeclab.benchmarks.speed.timed import spread
from codeclab.codecs.memory import keep_freed_memory
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import code_allowed, code_is_allowed
from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.quiet import quiet
from codeclab.experiments.runs.speed.step_time import joining_after, most_memory, time_batches, train_briefly
from codeclab.experiments.runs.speed.sweep_names import SWEEPS

HEADER = (
    "| {name} | ms a batch | quartiles, ms | peak MB | GFLOP | GFLOP/s | of a product | GB | GB/s | of a copy |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)
WARM_UP = 3
"""Batches that are trained before those that count."""


@dataclass(frozen=True)
class Point:
    """What was measured at one value.

    Attributes:
        value: value of what is swept.
        median: duration of a batch in seconds, data included; ``q25`` and ``q75`` are the quartiles.
        peak_mb: the most memory that was used: of the GPU, else of the process.
        flop: arithmetic of a batch's matrix products and convolutions.
        bytes: bytes that the operators of a batch read and write.
        product: FLOP/s of a matrix product in the same process.
        copy: bytes a second of a copy in the same process, read and written.
        joining_at: batches at which further parts would have joined, as ``joining_after`` gives them.
    """

    value: float
    median: float
    q25: float
    q75: float
    peak_mb: float
    flop: int
    bytes: int
    product: float
    copy: float
    joining_at: dict[str, int] = field(default_factory=dict)

    def row(self) -> str:
        """A line of a Markdown table; ``HEADER`` goes above it."""
        rate, moved = self.flop / self.median, self.bytes / self.median
        cells = [
            f"{self.value:g}",
            f"{1000 * self.median:.1f}",
            f"{1000 * self.q25:.1f} to {1000 * self.q75:.1f}",
            f"{self.peak_mb:.0f}",
            f"{self.flop / 1e9:.3g}",
            f"{rate / 1e9:.3g}",
            f"{100 * rate / self.product:.0f} %",
            f"{self.bytes / 1e9:.3g}",
            f"{moved / 1e9:.3g}",
            f"{100 * moved / self.copy:.0f} %",
        ]
        return f"| {' | '.join(cells)} |"


class _CountSecondBatch(Callback):
    """Counts the arithmetic of a training's second batch; the first starts codebooks and optimizers."""

    def __init__(self) -> None:
        self.arithmetic = Arithmetic()
        self.batches = 0

    def on_train_batch_start(self, *_: Any) -> None:
        self.batches += 1
        if self.batches == 2:
            self.arithmetic.__enter__()

    def on_train_batch_end(self, *_: Any) -> None:
        if self.batches == 2:
            self.arithmetic.__exit__(None, None, None)


def flags_of(name: str, value: float, flags: Sequence[str]) -> list[str]:
    """The words of a training at one value.

    Args:
        name: one of ``SWEEPS``.
        value: value of what is swept.
        flags: flags of ``codeclab fit``. Where these fix bitrates, a number of codebooks has its own highest one alone.

    Raises:
        RecipeError: the value is not a whole number where it should be, or the flags are refused.
    """
    if name == "seconds":
        return [*flags, "--data.seconds", f"{value:g}"]
    if value != int(value):
        raise RecipeError(f"--sweep {name}: {value:g} should be a whole number")
    number = f"{value:.0f}"
    if name == "batch":
        return [*flags, "--data.batch_size", number]
    if name == "channels":
        both = ["--model.encoder.channels", number, "--model.decoder.channels", number]
        return [*flags, *both, *_discriminators_of(int(value), flags)]
    return [*flags, "--model.quantizer.n_codebooks", number, *_rates(int(value), flags)]


def _discriminators_of(channels: int, flags: Sequence[str]) -> list[str]:
    parts = [part.as_dict() for part in build("fit", [*flags, "--dry-run"]).config.model.discriminators or []]
    for part in parts:
        if "channels" in part.get("init_args", {}):
            part["init_args"]["channels"] = channels
    return ["--model.discriminators", json.dumps(parts)] if parts else []


def _rates(codebooks: int, flags: Sequence[str]) -> list[str]:
    cli = build("fit", [*flags, "--dry-run"])
    if cli.config.model.bitrates is None:
        return []
    codec = cli.model.codec
    rate = codebooks * math.log2(codec.quantizer.codebook_sizes[0]) * codec.frame_rate / 1000
    rates = f"[{rate}]"
    drawn = "bitrates" in (cli.config.model.rate_sampling or {}).get("init_args", {})
    words = ["--model.bitrates", rates, "--model.bitrate", str(rate)]
    return [*words, "--model.rate_sampling.bitrates", rates] if drawn else words


def measure_point(name: str, value: float, flags: Sequence[str], batches: int) -> Point:
    """Measure one value in this process, whose peak memory is the point's own."""
    cli = build("fit", [*flags_of(name, value, flags), "--dry-run"])
    seconds = time_batches(cli, WARM_UP + batches).seconds[WARM_UP:]
    device = cli.trainer.strategy.root_device
    memory = most_memory(device)
    arithmetic = train_briefly(cli, 2, _CountSecondBatch()).arithmetic
    limits = measure_limits(device)
    wall = spread(seconds)
    return Point(
        value=value,
        **{key: wall[key] for key in ("median", "q25", "q75")},
        peak_mb=1024 * memory,
        flop=arithmetic.flop,
        bytes=arithmetic.bytes,
        product=limits.flop,
        copy=limits.bytes,
        joining_at=joining_after(cli, WARM_UP + batches),
    )


def sweep(name: str, values: Sequence[float], flags: Sequence[str], batches: int, threads: int | None) -> list[Point]:
    """Measure every value, each in a process of its own.

    Args:
        name: one of ``SWEEPS``.
        values: values of what is swept.
        flags: flags of ``codeclab fit``.
        batches: number of batches that are timed at each value.
        threads: number of torch's threads; None leaves torch's own number.

    Raises:
        RecipeError: a value cannot be trained; the message says why.
    """
    points = []
    for value in values:
        own_flags = ["--name", name, "--value", f"{value:g}", "--batches", str(batches), "--threads", str(threads or 0)]
        if code_is_allowed():
            own_flags.append("--run-code")
        words = [sys.executable, "-m", "codeclab.experiments.runs.speed.sweep", *own_flags, *flags]
        run = subprocess.run(words, capture_output=True, text=True)
        if run.returncode:
            lines = run.stderr.strip().splitlines() or ["its process ended without a word"]
            raise RecipeError(f"--sweep {name} at {value:g}: {lines[-1]}")
        points.append(Point(**json.loads(run.stdout.splitlines()[-1])))
    return points


def main(argv: list[str] | None = None) -> None:
    """Print one point as JSON."""
    parser = argparse.ArgumentParser(prog="python -m codeclab.experiments.runs.speed.sweep", allow_abbrev=False)
    parser.add_argument("--name", choices=tuple(SWEEPS), required=True)
    parser.add_argument("--value", type=float, required=True)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--run-code", action="store_true")
    options, flags = parser.parse_known_args(argv)
    quiet()
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        with code_allowed(options.run_code):
            point = measure_point(options.name, options.value, flags, options.batches)
    except ValueError as error:
        sys.exit(str(error).replace("\n", " "))
    print(json.dumps(asdict(point)))


if __name__ == "__main__":
    main()
