"""How far training with CUDA graphs is from the eager step, as JSON: every logged number of the same batches.

    python -m codeclab.experiments.runs.speed.graphs_equal_eager --config encodec_24khz --scale lab --to compared.json

Every flag of ``codeclab fit`` is taken. Sums on a GPU are not added up in one order, so that two eager trainings
differ, too: a second one is the scale for the difference.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from pandas import DataFrame

from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.memory import keep_freed_memory
from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.quiet import quiet
from codeclab.experiments.runs.speed.step_time import train_briefly
from codeclab.experiments.train.step_output import StepOutput


class KeepNumbers(Callback):
    """Keeps the numbers of every batch.

    Attributes:
        rows: numbers by name, a batch each.
        replays: batches that were replayed.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.replays = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Read those of this batch."""
        output = StepOutput.of(outputs)
        assert output is not None
        self.rows.append(output.figures())
        graphs = getattr(pl_module, "graphs", None)
        self.replays = graphs.replays if graphs else 0


def train(flags: Sequence[str], batches: int, graphs: bool) -> KeepNumbers:
    """Train an experiment anew, from the same start, with its step recorded as CUDA graphs or not."""
    cli = build("fit", [*flags, "--model.cuda_graphs", str(graphs).lower(), "--dry-run"])
    return train_briefly(cli, batches, KeepNumbers())


def largest_differences(rows: Sequence[dict[str, float]], others: Sequence[dict[str, float]]) -> dict[str, float]:
    """The largest difference of each number over batches, in relation to its largest value in ``rows``."""
    first, second = DataFrame(rows), DataFrame(others)
    return dict((first - second).abs().max() / first.abs().max().replace(0.0, 1.0))


def compare(flags: Sequence[str], batches: int) -> dict[str, Any]:
    """The differences of training with graphs, and of a second eager training, from an eager one."""
    eager, graphs, again = (train(flags, batches, one) for one in (False, True, False))
    recorded, repeated = (largest_differences(eager.rows, other.rows) for other in (graphs, again))
    pairs = {name: (recorded[name], repeated[name]) for name in recorded}
    return {"batches": batches, "replays": graphs.replays, "differences": pairs}


def main(argv: list[str] | None = None) -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m codeclab.experiments.runs.speed.graphs_equal_eager", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--to", type=Path, metavar="FILE", required=True, help="where the JSON is written")
    parser.add_argument("--batches", type=int, default=50, help="batches compared (default: 50)")
    options, flags = parser.parse_known_args(argv)
    quiet()
    keep_freed_memory()
    write_atomically(options.to, json.dumps(compare(flags, options.batches), indent=2) + "\n")


if __name__ == "__main__":
    main()
