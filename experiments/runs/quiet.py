"""Libraries kept from printing what a command's user cannot act on; without importing them."""

import logging
import warnings

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
