"""Processes that end with the one that started them."""

import ctypes
import platform
import signal

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel tell this process to end (SIGTERM) when its parent ends, by SIGKILL too; Linux only."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
