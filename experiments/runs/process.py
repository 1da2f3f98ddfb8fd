"""Settings of a command's process: its notes, and quiet libraries."""

import logging
import sys
import warnings

PLANNED = ("codeclab.experiments.data.corpus", "codeclab.experiments.data.module")
"""Loggers for notes on a corpus before anything is trained."""


class Notes:
    """Prints notes on standard error, each only once; of several processes, one prints."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def __call__(self, text: str) -> None:
        """Print one note."""
        if _prints() and text not in self._printed:
            self._printed.add(text)
            print(f"note: {text}", file=sys.stderr)


def say(text: str) -> None:
    """Print a line on standard error once, however many processes there are."""
    if _prints():
        print(text, file=sys.stderr)


def _prints() -> bool:
    # Imported here: commands that code files need no Lightning, which takes seconds to import.
    from lightning.pytorch.utilities import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) == 0


def silence_corpora() -> None:
    """Keep this process from printing notes on a corpus, which another process has printed."""
    for name in PLANNED:
        logging.getLogger(name).setLevel(logging.ERROR)


CHATTER = (
    "lightning.fabric.utilities.seed",
    "lightning.fabric.utilities.rank_zero",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.pytorch.accelerators.cuda",
)
"""Loggers that print hardware, seeds and product tips at every start."""

HARMLESS = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r".*`weights_only` was not set",
    r".*does not have many workers",
    r"The number of training batches .* is smaller than the logging interval",
    r".*your dataloader is not resumable",  # it is: AudioData.start_batch
    r".*callbacks used to create the checkpoint need to be provided",
    r"The `srun` command is available",  # a table's rows are sent to Slurm by --launcher; a run starts where it is
)
"""Warnings of libraries about each other, on which users of a command cannot act."""


def quiet() -> None:
    """Let libraries print only warnings on which the user can act."""
    for name in CHATTER:
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in HARMLESS:
        warnings.filterwarnings("ignore", message=message)
