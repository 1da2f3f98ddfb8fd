"""The cores that rows share: a process held to its part of them."""

import os
from collections.abc import MutableMapping

from codeclab.experiments.data.cores import leave_cores, usable_cores

OPENMP = "OMP_NUM_THREADS"
OTHERS = ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def threads_each(at_a_time: int) -> int:
    """Threads of each row that is made at the same time; OMP_NUM_THREADS takes precedence, if it is 1 or more."""
    value = os.environ.get(OPENMP, "")
    requested = int(value) if value.isdecimal() else 0
    return requested or max(usable_cores() // at_a_time, 1)  # OpenMP ignores a 0, too


def hold_to(threads: int, environment: MutableMapping[str, str]) -> None:
    """Make a process started with ``environment`` compute in this number of threads, whichever library it uses."""
    for variable in (OPENMP, *OTHERS):
        if environment.get(variable, "").strip("0") == "":
            environment[variable] = str(threads)
    leave_cores(environment)
