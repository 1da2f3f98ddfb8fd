"""The lock of a run: one command at a time trains it, or makes a row of it."""

from pathlib import Path

from codeclab.codecs.io.locks import Lock

LOCKS = ".locks"
"""Folder beside the runs that holds their locks."""


class RunLock(Lock):
    """The lock of a run, or of anything that lies beside the runs.

    Args:
        runs: the folder of runs.
        name: the run's name.
        purpose: work that is locked; making a table's ``row`` and ``train``-ing its run are two things.
    """

    def __init__(self, runs: Path, name: str, purpose: str = "row") -> None:
        super().__init__(runs / LOCKS / f"{name}.{purpose}")
