"""Paths of runs and codecs by the names that users give, and the message where there is none."""

from difflib import get_close_matches
from pathlib import Path

MOST_NAMES = 20
"""Largest number of names that a message lists."""

RUNS = "runs"
"""Default folder of runs."""


def located(name: Path | str) -> Path:
    """The path that a name means: itself or, where nothing is there, that of the run of this name in ``runs``."""
    path = Path(name).expanduser()
    run = Path(RUNS) / path
    return run if not path.exists() and not path.is_absolute() and path != Path() and run.exists() else path


def is_local(name: str) -> bool:
    """Whether a name can only mean a path: its folder is here, or it is written as one."""
    parent = Path(name).parent
    return name.startswith((".", "/", "~")) or Path(name).parts[:1] == (RUNS,) or (parent != Path() and parent.is_dir())


def missing(name: str) -> str:
    """A sentence that says a path is not there, and lists what lies where it should, runs and codecs first."""
    path = Path(name).expanduser()
    parent = Path(RUNS) if len(path.parts) == 1 and Path(RUNS).is_dir() else path.parent
    if not parent.is_dir():
        return f"there is no {name}: there is no folder {parent}"
    there = sorted(one.name for one in parent.iterdir() if one.is_dir() and not one.name.startswith("."))
    close = get_close_matches(path.name, there, n=1)
    near = f" (did you mean {parent / close[0]}?)" if close else ""
    listed = ", ".join(there[:MOST_NAMES]) + (", …" if len(there) > MOST_NAMES else "")
    where = "the working directory" if parent == Path() else parent
    return f"there is no {name}{near}; {where} holds: {listed or 'nothing'}"
