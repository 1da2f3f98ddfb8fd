"""``codeclab --print_completion SHELL``: a script with which a shell completes commands, flags, recipes and parts."""

import argparse
import inspect
from importlib import import_module
from importlib.util import find_spec

from codeclab.experiments.config.files import TABLES, names
from codeclab.experiments.config.words import NO_SETTINGS
from codeclab.experiments.runs.training_flags import flags_of

SHELLS = ("bash", "zsh")

TRAINING = ("fit", "validate", "test")
"""Commands whose flags are the settings of an experiment."""

FILES = ("--init", "--data", "--runs", "--import", "--ckpt_path")
"""Flags whose value is a path."""


def training_parser(command: str) -> argparse.ArgumentParser:
    """A parser from which shtab reads the flags."""
    from shtab import Choice

    parser = argparse.ArgumentParser(add_help=False)
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
