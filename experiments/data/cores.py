"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Cores lent to the process: containers lend fewer than the machine has; all where there is no affinity (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
