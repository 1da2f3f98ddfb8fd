"""Memory that a step frees is kept for the next step."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 * 2**20
"""The largest block glibc lets stay in the heap; it clamps anything above."""


def keep_freed_memory() -> None:
    """Tell glibc not to give freed blocks back to the kernel at once; elsewhere, nothing is done.

    A training step on the CPU frees and asks for the same hundreds of megabytes each time, and the kernel clears every
    page anew: that was a third to nine tenths of a small step's time.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
