"""What is said of a path that is not there: what lies where it should."""

from difflib import get_close_matches
from pathlib import Path

SHOWN = 20
"""Names listed."""

RUNS = "runs"
"""Where runs are kept where nothing else is said."""


def is_local(name: str) -> bool:
    """Whether a name can only mean a path: its folder is here, or it is written as one."""
    parent = Path(name).parent
    return name.startswith((".", "/", "~")) or Path(name).parts[:1] == (RUNS,) or (parent != Path() and parent.is_dir())


def missing(name: str) -> str:
    """A sentence that says a path is not there, and lists what lies where it should, runs and codecs first."""
    path = Path(name).expanduser()
    parent = path.parent
    if not parent.is_dir():
        return f"there is no {name}: there is no folder {parent}"
    there = sorted(one.name for one in parent.iterdir() if one.is_dir() and not one.name.startswith("."))
    close = get_close_matches(path.name, there, n=1)
    near = f" (did you mean {parent / close[0]}?)" if close else ""
    listed = ", ".join(there[:SHOWN]) + (", …" if len(there) > SHOWN else "")
    return f"there is no {name}{near}; in {parent} lies: {listed or 'nothing'}"
