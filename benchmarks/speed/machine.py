"""The machine's limits in a second, beside which times are read: matrix products and a copy."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from codeclab.benchmarks.speed.device_use import waited_for
from codeclab.benchmarks.speed.timed import Timed
from codeclab.codecs.timing import in_turns
from codeclab.quantizers.matrix_product import has_fast_products, linear

SIDE = 2048
"""Rows and columns of the square matrices that are multiplied."""

SIDE_EMULATED = 256
"""The same in bfloat16 on a CPU without AVX-512, which needs a quarter of a minute for the product of the others."""

COPIED = 64 << 20
"""Bytes of the tensor that is copied; as many are read as written."""

REPEATS = 5
"""Runs of each task of which ``measure_limits`` takes the median."""

FLOAT32, BFLOAT16, COPY = "matrix product, float32", "matrix product, bfloat16", "copy of 64 MiB"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Limits:
    """Limits of a device.

    Attributes:
        flop: multiplications and additions of a float32 matrix product, FLOP/s.
        bytes: bytes read and written by a copy, bytes/s.
    """

    flop: float
    bytes: float


def product_flop(side: int) -> int:
    """Multiplications and additions of the product of two square matrices."""
    return 2 * side**3


def bfloat16_side(device: torch.device) -> int:
    """Rows and columns of the matrices that are multiplied in bfloat16 on a device."""
    return SIDE if device.type != "cpu" or has_fast_products(torch.bfloat16) else SIDE_EMULATED


def machine_tasks(device: torch.device = CPU) -> dict[str, Callable[[], object]]:
    """Tasks by name whose times show the limits of a device: two matrix products and a copy."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, SIDE, SIDE, generator=generator).to(device)
    side = bfloat16_side(device)
    rounded_left, rounded_right = (matrix[:side, :side].bfloat16() for matrix in (left, right))
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    tasks: dict[str, Callable[[], object]] = {
        FLOAT32: lambda: linear(left, right),
        BFLOAT16: lambda: rounded_left @ rounded_right,
        COPY: lambda: target.copy_(source),
    }
    return {name: waited_for(task, device) for name, task in tasks.items()}


def machine_rows(taken: Mapping[str, Sequence[float]]) -> list[Timed]:
    """The lines of ``machine_tasks`` on the CPU, from the seconds of their runs by name."""
    amounts = {
        FLOAT32: (product_flop(SIDE) / 1e9, "GFLOP/s"),
        BFLOAT16: (product_flop(bfloat16_side(CPU)) / 1e9, "GFLOP/s"),
        COPY: (2 * COPIED / 1e9, "GB/s"),
    }
    return [Timed(name, taken[name], *amount) for name, amount in amounts.items()]


def measure_limits(device: torch.device) -> Limits:
    """Measure the limits of a device, from medians of several runs."""
    tasks = machine_tasks(device)
    taken = in_turns({name: tasks[name] for name in (FLOAT32, COPY)}, REPEATS)
    return Limits(product_flop(SIDE) / median(taken[FLOAT32]), 2 * COPIED / median(taken[COPY]))


def describe_machine() -> str:
    """A sentence: the processor, its threads in use, and torch's version."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # another system than Linux
    return f"{name}, torch {torch.__version__}, threads: {torch.get_num_threads()}"
