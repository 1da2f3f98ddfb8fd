"""Memory that coding and training free and take again."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

LARGEST_HEAP_BLOCK = 32 * 2**20
"""The largest block that glibc lets stay in the heap, in bytes; it clamps anything above."""


def keep_freed_memory() -> None:
    """Tell glibc not to give freed blocks back to the kernel at once; elsewhere, nothing is done.

    Coding, and a training step on the CPU, free and take the same blocks each time, and the kernel clears every page
    anew: that was up to a fifth of a codec's time, and a third to nine tenths of a small step's. The process keeps the
    memory that it needed at most.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, LARGEST_HEAP_BLOCK)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
