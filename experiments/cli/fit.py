"""``codeclab fit``, ``validate`` and ``test``: train a codec from a recipe, or measure a run's checkpoint."""

import yaml
from jsonargparse import ArgumentError
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.fit import help_text
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.parts import all_slots, find_part
from codeclab.experiments.config.words import Words, read_words
from codeclab.experiments.data.readers import ReaderDiedError
from codeclab.experiments.runs.build import build_typed, make_parser
from codeclab.experiments.train.non_finite import NonFiniteLossError


def run(command: str, argv: list[str]) -> int:
    """``codeclab fit|validate|test``; returns the exit status."""
    if not argv:
        print(help_text(command), end="")
        return 2
    try:
        words = read_words(argv, command)
        explain(command, words)
        cli = build_typed(command, words)
        if words.print_config:
            print(yaml.safe_dump(cli.requested, sort_keys=False), end="")
        elif words.dry_run:
            from codeclab.experiments.runs.dry_run import describe

            print(describe(cli.model, cli.datamodule, cli.config.trainer.max_steps))
            if cli.origin:
                print(cli.origin.replace("init:", "init          ", 1))
        else:
            cli.execute()
    except (ValueError, MisconfigurationException) as error:
        return failed(command, error)
    except (OSError, RuntimeError) as error:
        if isinstance(error, NonFiniteLossError):  # which is reported
            return 1
        if not isinstance(error, OSError | ReaderDiedError):
            raise
        return failed(command, error, 1)
    return 0


def explain(command: str, words: Words) -> None:
    """Print every flag, or the arguments of parts, and end, where that is asked for.

    Raises:
        RecipeError: there is no such part.
    """
    help_settings = [(name, value) for name, value in words.settings if name.endswith(".help")]
    if not (help_settings or words.help_all):
        return
    for name, value in help_settings:
        slot = name.removesuffix(".help")
        if slot in all_slots():
            find_part(slot, all_slots()[slot], value)
    try:
        # Only the parser can print what it knows, and it is asked by a word.
        make_parser(command).parse_args([f"--{name}={value}" for name, value in help_settings] or ["--help"])
    except ArgumentError as error:
        raise RecipeError(str(error)) from error
