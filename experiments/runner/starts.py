"""Rows of a table that all start from one trained codec: the title names it, and a line says how it was trained."""

from collections.abc import Sequence
from pathlib import Path

from codeclab.experiments.runner.compute import Compute
from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runs.folder import RunFolder


def common_start(drafts: Sequence[Draft]) -> str | None:
    """What every trained row starts from, as ``--init`` names it; None where rows differ, or start from random weights.

    Args:
        drafts: the rows of a table.
    """
    starts = {draft.start for draft in drafts if draft.jobs and draft.row.kind == "trained"}
    return starts.pop() if len(starts) == 1 else None


def titled(title: str, start: str | None) -> str:
    """A table's title, with what its rows start from."""
    return f"{title}; rows start from {Path(start).name}" if start else title


def describe_start(start: str | None) -> list[str]:
    """A sentence on the training of a run that rows start from; none for a codec without one.

    Args:
        start: as ``--init`` names it.
    """
    folder = RunFolder(Path(start)) if start else None
    if folder is None or not folder.config.is_file():
        return []
    config = folder.settings
    compute = Compute(folder.steps, config["data"]["batch_size"], config["data"]["seconds"])
    alone = "" if config["model"]["discriminators"] else ", without discriminators"
    return [f"{Path(str(start)).name} was trained before the rows: {compute.text}{alone}."]
