"""A live stream between two pipes, such as standard input and output."""

import os
import time
from functools import partial
from typing import BinaryIO, Literal

from codeclab.codecs.entropy.live_coder import LiveCoder

READ_BYTES = 1 << 16
"""Largest piece that is read from a pipe, bytes."""


def code_pipe(
    live: LiveCoder, direction: Literal["encode", "decode", "both"], source: BinaryIO, target: BinaryIO
) -> float:
    """Code the input as it arrives, until it ends.

    Args:
        live: coder of the stream.
        direction: method of the coder: ``encode``, ``decode`` or ``both``.
        source: file or pipe to read from, with a descriptor.
        target: file or pipe to write to, with a descriptor; what is complete is flushed at once.

    Returns:
        time spent on work, without waiting for the input, seconds.

    Raises:
        ContainerError: the input does not hold codes of this codec.
        ValueError: the input ends within a sample.
        BrokenPipeError: nobody reads the output any more; the target's descriptor then discards what is written.
    """
    code = {"encode": live.encode, "decode": live.decode, "both": live.both}[direction]
    arriving = iter(partial(os.read, source.fileno(), READ_BYTES), b"")
    began = time.perf_counter()
    try:
        for data in code(arriving):
            target.write(data)
            target.flush()
    except BrokenPipeError:
        # What is still buffered would raise once more when the interpreter closes.
        discard = os.open(os.devnull, os.O_WRONLY)
        os.dup2(discard, target.fileno())
        os.close(discard)
        raise
    return time.perf_counter() - began - live.waiting_seconds
