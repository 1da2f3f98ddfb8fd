"""``codeclab --print_completion SHELL``: a script with which a shell completes commands, flags, recipes and parts."""

import argparse
import inspect
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from codeclab.experiments.cli.options.shared import add_run_code
from codeclab.experiments.config.files import RECIPES, SCALES, TABLES, names
from codeclab.experiments.config.hints import choices_of, hints_of
from codeclab.experiments.config.parts import LINKED, all_slots, arguments, subclasses
from codeclab.experiments.config.words import NO_SETTINGS
from codeclab.experiments.config.words import make_parser as flag_parser
from codeclab.experiments.runs.arguments import OWNERS
from codeclab.experiments.runs.build import make_parser

SHELLS = ("bash", "zsh")

TRAINING = ("fit", "validate", "test")
"""Commands whose flags are the settings of an experiment."""

FILES = ("--init", "--data", "--runs", "--import", "--ckpt_path")
"""Flags whose value is a path."""


@cache
def flags_of(command: str) -> dict[str, list[str]]:
    """The flags of ``fit``, ``validate`` or ``test``, and the values each may have; empty if these cannot be listed."""
    own = [*flag_parser(command)._actions, *make_parser(command)._actions]
    choices: dict[str, list[str]] = {flag: [] for action in own for flag in action.option_strings}
    choices = {flag: values for flag, values in choices.items() if not flag.startswith("--print_shtab")}
    for section, owner in OWNERS.items():
        choices |= {f"--{name}": choices_of(hint) for name, hint in hints_of(owner, section) if name not in LINKED}
    for slot, base in all_slots().items():
        parts = subclasses(base)
        choices[f"--{slot}"] = list(parts)
        for part in parts.values():
            hints = dict(hints_of(part, slot))
            for argument in arguments(part):
                if f"{slot}.{argument}" not in LINKED:
                    choices[f"--{slot}.{argument}"] = choices_of(hints.get(f"{slot}.{argument}"))
    return choices | {"--config": names(RECIPES), "--scale": names(SCALES)}


def training_parser(command: str) -> argparse.ArgumentParser:
    """A parser from which shtab reads the flags."""
    from shtab import Choice

    parser = argparse.ArgumentParser(add_help=False)
    add_run_code(parser)
    alone = ("-h", *(f"--{name}" for name in NO_SETTINGS))
    for flag, choices in flags_of(command).items():
        paths = [Choice("file")] if flag in (*FILES, "--config") else []
        if flag in alone:
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, choices=[*choices, *paths] or None)
    return parser


def all_commands(commands: dict[str, tuple[str, str]]) -> argparse.ArgumentParser:
    """A parser of every command."""
    parser = argparse.ArgumentParser("codeclab")
    verbs = parser.add_subparsers()
    for name, (text, module) in commands.items():
        if name in TRAINING:
            verbs.add_parser(name, parents=[training_parser(name)], add_help=False, help=text)
        elif name == "recipes":
            verbs.add_parser(name, help=text)
        elif name == "tables":
            verbs.add_parser(name, help=text).add_argument("table", nargs="?", choices=names(TABLES))
        else:
            make = import_module(module).make_parser
            one = make(name) if inspect.signature(make).parameters else make()
            verbs.add_parser(name, parents=[one], add_help=False, help=text)
    return parser


def script(shell: str, commands: dict[str, tuple[str, str]]) -> str:
    """The completion script for a shell.

    Args:
        shell: name of the shell, one of ``SHELLS``.
        commands: short description of each command, and its module.

    Raises:
        ValueError: the shell is unknown, or the package that writes such scripts is not installed.
    """
    if shell not in SHELLS:
        raise ValueError(f"--print_completion {shell}: it should be {' or '.join(SHELLS)}")
    if find_spec("shtab") is None:
        raise ValueError("--print_completion needs the package shtab: pip install 'codeclab[completion]'")
    import shtab

    return shtab.complete(all_commands(commands), shell)
