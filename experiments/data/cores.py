"""How many cores this process may use, and how it leaves them to others."""

import os
from collections.abc import MutableMapping

SPIN = "GOMP_SPINCOUNT"
SPINS = "2000"
"""How often a thread of OpenMP looks whether it has work before it sleeps (about 20 µs).

At its own 300,000, two trainings on two cores took 12 to 25 times as long as one alone, here 2.8 times (2.05 s a step
instead of 0.735). If threads sleep at once, one training alone takes a quarter longer.
"""


def usable_cores() -> int:
    """Cores that the process may use: fewer than all in a container; all on systems without affinity (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def leave_cores(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads that wait for one another sleep soon, so that they do not take the cores from other programs.

    The environment is that of a process that has not loaded torch yet. ``OMP_WAIT_POLICY`` in it, if set, decides.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault(SPIN, SPINS)
