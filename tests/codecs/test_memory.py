"""Freed blocks stay with the process."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from codeclab.codecs.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(7_500_000) for _ in range(4)]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.ones(1000)
anew = min(faults() for _ in range(10))
keep_freed_memory()
print(anew, min(faults() for _ in range(30)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc adapts its threshold")
def test_blocks_of_30_mb_are_not_asked_of_the_kernel_again():
    printed = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True).stdout
    anew, again = map(int, printed.split())
    if anew < 1000:  # of 29,300
        pytest.skip("this kernel hands out huge pages")
    assert again < 100
