"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Cores that the process may use: fewer than all in a container; all on systems without affinity (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
