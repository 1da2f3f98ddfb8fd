"""Why a command fails, said alike by all of them."""

import sys


def failed(command: str, why: object, status: int = 2) -> int:
    """Print why a command fails on standard error; returns the exit status: 2 if it was wrong, 1 if its work failed."""
    print(f"codeclab {command}: {why}", file=sys.stderr)
    return status
