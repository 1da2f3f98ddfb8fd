"""The command line: ``codeclab COMMAND …``; each command's module is imported only when it is used."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from inspect import signature

from codeclab import __version__
from codeclab.benchmarks.evaluate.console import discard_closed_error, speak_any_encoding
from codeclab.codecs.wording import did_you_mean
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.shared import RUN_CODE
from codeclab.experiments.data.cores import leave_cores
from codeclab.experiments.runs.stopping import Stopped, listening

COMMANDS = {
    "fit": ("train a codec from a recipe, or continue a run", "codeclab.experiments.cli.fit"),
    "fit-lm": ("train the language model that codes a codec's codes in fewer bits", "codeclab.experiments.cli.fit_lm"),
    "validate": ("measure a run's checkpoint on the validation clips", "codeclab.experiments.cli.fit"),
    "test": ("measure a run's checkpoint on the test clips", "codeclab.experiments.cli.fit"),
    "evaluate": ("measure a trained codec at every bitrate, by file and domain", "codeclab.experiments.cli.evaluate"),
    "compare": ("compare runs, codecs and baselines in one table, clip by clip", "codeclab.experiments.cli.compare"),
    "table": ("train, measure and compare every row of a table", "codeclab.experiments.cli.table"),
    "agreement": (
        "count how many of a paper's orderings several tables reproduce",
        "codeclab.experiments.cli.agreement",
    ),
    "report": ("compare runs on one page, with players", "codeclab.experiments.cli.report"),
    "mushra": ("prepare, serve and analyse a listening test", "codeclab.experiments.cli.mushra"),
    "encode": ("encode audio into small files", "codeclab.experiments.cli.code_files"),
    "decode": ("decode such files into audio", "codeclab.experiments.cli.code_files"),
    "reconstruct": ("encode and decode audio in one step, to hear a codec", "codeclab.experiments.cli.code_files"),
    "stream": ("encode or decode raw PCM live, from standard input", "codeclab.experiments.cli.stream"),
    "speed": ("time training, coding, reading and measuring on this machine", "codeclab.experiments.cli.speed"),
    "export": ("write a trained codec to a folder, also for transformers", "codeclab.experiments.cli.export"),
    "dashboard": ("arrange a W&B project for comparing codecs", "codeclab.experiments.cli.dashboard"),
    "data": ("measure audio into a manifest, or prepare a paper's dataset", "codeclab.experiments.cli.data"),
    "recipes": ("list the recipes", "codeclab.experiments.cli.listing"),
    "tables": ("list the tables", "codeclab.experiments.cli.listing"),
}

LISTS = ("recipes", "tables")
"""Commands that do not need torch."""

HELP_FLAGS = {"-h", "--help"}

AFTER_STOP = dict.fromkeys(("fit", "fit-lm", "table", "data"), "continues it")
"""What a stopped command does when it is run again; the others begin again."""

HELP = """usage: codeclab COMMAND [options] | --version | --print_completion bash
Neural audio codecs assembled from interchangeable parts, trained from recipes, compared in tables.
commands (`codeclab COMMAND --help` explains each):
{commands}
Start with `codeclab table demo --seeds 1`: it trains and compares small speech codecs in minutes on a CPU.
"""


def help_text() -> str:
    """What ``codeclab --help`` prints."""
    width = max(map(len, COMMANDS))
    return HELP.format(commands="\n".join(f"  {name:<{width}}  {text}" for name, (text, _) in COMMANDS.items()))


def explain(command: str, words: list[str]) -> None:
    """Print a command's help and exit. Only the options are imported, which do not need torch."""
    options = import_module(COMMANDS[command][1].replace(".cli.", ".cli.options."))
    if hasattr(options, "help_text"):
        print(options.help_text(command), end="")
        raise SystemExit(0)
    takes_command = bool(signature(options.make_parser).parameters)
    parser = options.make_parser(command) if takes_command else options.make_parser()
    parser.parse_args(words)


@contextmanager
def allow_code_of(command: str, words: list[str]) -> Iterator[None]:
    """Import the Python files of the runs named in a command, and allow those of every run that it reads."""
    own_code = import_module("codeclab.experiments.config.own_code")
    with own_code.code_allowed():
        try:
            for word in words:
                own_code.import_from(word.rpartition("=")[2])
        except own_code.RecipeError as error:
            raise SystemExit(failed(command, error)) from None
        yield


def print_completion(words: list[str]) -> int:
    """``codeclab --print_completion SHELL``; returns the exit status."""
    # Imported here: the flags include those of every part, so this imports everything.
    completion = import_module("codeclab.experiments.cli.completion")
    try:
        print(completion.script(words[0] if words else "", COMMANDS))
    except ValueError as error:
        print(f"codeclab: {error}", file=sys.stderr)
        return 2
    return 0


def main(argv: list[str] | None = None) -> None:
    """Run one command; exits with 0, with 1 if the work failed, with 2 if the command was wrong."""
    try:
        try:
            _run(sys.argv[1:] if argv is None else argv)
        finally:
            if sys.stdout is not None:  # closed, as by >&-
                sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered would raise once more when the interpreter closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def _run(words: list[str]) -> None:
    discard_closed_error()
    speak_any_encoding()
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text(), end="")
        raise SystemExit(0 if words else 2)
    if words[0] == "--version":
        print(f"codeclab {__version__}")
        raise SystemExit(0)
    command, rest = words[0], list(words[1:])
    if command == "--print_completion":
        raise SystemExit(print_completion(rest))
    if command not in COMMANDS:
        near = did_you_mean(command, COMMANDS)
        print(f"codeclab: no command {command!r}{near}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    if HELP_FLAGS & set(rest) and command not in LISTS:
        explain(command, rest)
    try:
        with listening():
            # Heavy modules are imported here, so that --help and Ctrl-C are answered at once.
            if command not in LISTS:
                leave_cores()
                import_module("codeclab.experiments.runs.quiet").quiet()
                import_module("codeclab.codecs.memory").keep_freed_memory()
            run: Callable[[str, list[str]], int] = import_module(COMMANDS[command][1]).run
            given = [word for word in rest if word != RUN_CODE]
            with allow_code_of(command, given) if RUN_CODE in rest else nullcontext():
                raise SystemExit(run(command, given))
    except Stopped as stopped:
        if not stopped.reported:
            then = AFTER_STOP.get(command, "begins again")
            failed(command, f"stopped; the same command {then}")
        raise
