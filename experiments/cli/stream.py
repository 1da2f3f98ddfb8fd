"""``codeclab stream encode|decode|both``: raw PCM from standard input through a codec, live, to standard output."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.container import ContainerError
from codeclab.codecs.entropy.container_reader import Damage
from codeclab.codecs.entropy.live_coder import LiveCoder
from codeclab.codecs.entropy.live_settings import LiveSettings
from codeclab.codecs.layers.layer_stream import NotCausalError
from codeclab.codecs.wording import counted
from codeclab.experiments.cli.code_files import note_precision
from codeclab.experiments.cli.options.stream import make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.import_files import import_files
from codeclab.experiments.runs.load_codec import load_codec

READ_BYTES = 1 << 16


def arriving(source: BinaryIO) -> Iterator[bytes]:
    """The input, each piece as soon as it arrives, until the end."""
    while data := os.read(source.fileno(), READ_BYTES):
        yield data


def print_damage(damage: Damage) -> None:
    """Print a damaged span on standard error."""
    print(f"codeclab stream: damaged, {damage}", file=sys.stderr, flush=True)


def run(command: str, argv: list[str]) -> int:
    """``codeclab stream``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        if options.chunk < 0:
            raise RecipeError(f"--chunk is {options.chunk:g} s; it should be at least 0")
        import_files(options.imports)
        codec = load_codec(options.codec).to(options.device).eval()
        if options.precision == "bf16":
            codec.to_bf16()
        note_precision(command, options.precision, options.device)
        settings = LiveSettings(options.bitrate, options.format, options.lookahead, options.entropy, options.chunk)
        fitted = None if options.language_model is None else Path(options.language_model)
        live = LiveCoder(codec, settings, Coders.beside(codec, options.codec, fitted), print_damage)
        print(
            f"codeclab stream {options.direction}: {codec.sample_rate} Hz, {counted(codec.channels, 'channel')}, "
            f"{options.format}, {codec.bitrate_of(live.n_codebooks):.4g} kbps",
            file=sys.stderr,
            flush=True,
        )
        return _pipe(live, options.direction)
    except NotCausalError as error:
        print(f"codeclab stream: {error.message('--lookahead')}", file=sys.stderr)
        return 2
    except ContainerError as error:
        print(f"codeclab stream: the input cannot be read: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"codeclab stream: {error}", file=sys.stderr)
        return 2


def _pipe(live: LiveCoder, direction: str) -> int:
    """Work until the input ends or the output is closed."""
    target = sys.stdout.buffer
    code = {"encode": live.encode, "decode": live.decode, "both": live.both}[direction]
    began = time.perf_counter()
    try:
        for data in code(arriving(sys.stdin.buffer)):
            target.write(data)
            target.flush()
    except BrokenPipeError:
        # What is still buffered would raise once more when the interpreter closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    spent = time.perf_counter() - began - live.waiting_seconds
    print(f"codeclab stream {direction}: {live.seconds:.2f} s of audio, {spent:.2f} s of work", file=sys.stderr)
    return 0
