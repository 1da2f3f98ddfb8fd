"""``codeclab stream encode|decode|both``: raw PCM from standard input through a codec, live, to standard output."""

import sys
from pathlib import Path

from codeclab.codecs.device import choose_device
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.container import LONGEST_CHUNK, ContainerError
from codeclab.codecs.entropy.container_reader import Damage
from codeclab.codecs.entropy.live_coder import LiveCoder
from codeclab.codecs.entropy.live_pipe import code_pipe
from codeclab.codecs.entropy.live_settings import LiveSettings
from codeclab.codecs.layers.layer_stream import NotCausalError
from codeclab.codecs.wording import counted
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.stream import make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.runs.load_codec import load_codec
from codeclab.experiments.runs.precision import note_precision


def print_damage(damage: Damage) -> None:
    """Print a damaged span on standard error."""
    print(f"codeclab stream: damaged, {damage}", file=sys.stderr, flush=True)


def run(command: str, argv: list[str]) -> int:
    """``codeclab stream``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        if not 0 <= options.chunk <= LONGEST_CHUNK:
            raise RecipeError(f"--chunk is {options.chunk:g} s; it should be from 0 to {LONGEST_CHUNK:g}")
        if sys.stdin is None or sys.stdout is None:
            raise RecipeError(
                f"standard {'input' if sys.stdin is None else 'output'} is closed; it should be a pipe or file"
            )
        import_files(options.imports)
        codec = load_codec(options.codec).to(choose_device(options.device)).eval()
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
        spent = code_pipe(live, options.direction, sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        return 1
    except NotCausalError as error:
        return failed("stream", error.message("--lookahead"))
    except ContainerError as error:
        return failed("stream", f"the input cannot be read: {error}", 1)
    except (ValueError, OSError) as error:
        return failed("stream", error)
    work = f"{live.seconds:.2f} s of audio, {spent:.2f} s of work"
    print(f"codeclab stream {options.direction}: {work}", file=sys.stderr)
    return 0
