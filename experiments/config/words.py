"""The words of ``codeclab fit``, ``validate`` and ``test``, typed or given in Python; without torch, for fast help."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from codeclab.experiments.config.files import SCALES, RecipeError, names


class Setting(argparse.Action):
    """A setting, whose dotted name is ``dest``; name and value are listed as ``settings``, in the order given."""

    def __init__(self, option_strings: Sequence[str], dest: str, **others: Any) -> None:
        super().__init__(option_strings, dest, type=not_empty, default=argparse.SUPPRESS, **others)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        """Append name and value."""
        namespace.settings = [*namespace.settings, (self.dest, values)]


def not_empty(value: str) -> str:
    """The value of an option that may not be empty: then argparse reports the error."""
    if not value:
        raise ValueError("empty")
    return value


class SettingsParser(argparse.ArgumentParser):
    """A parser of a command's own options and of settings, ``--model.quantizer NAME``, which it need not know.

    Which settings there are depends on parts, which come with recipes and files that the options name. So each flag is
    a setting that is none of the options; in ``settings`` are their names, with ``+`` where a list gets one more, and
    values. Nothing is abbreviated, and a word of one dash is a value (``-1e-3``), but for ``-h``.
    """

    def __init__(self, prog: str, **others: Any) -> None:
        super().__init__(prog, allow_abbrev=False, **others)
        self.set_defaults(settings=[])

    def read(self, words: Sequence[str], into: argparse.Namespace | None = None) -> argparse.Namespace:
        """Parse all of a command's words; ``sys.argv`` is not read.

        Args:
            words: the command's, without its name.
            into: namespace that gets the options as attributes; None makes a new one.

        Raises:
            RecipeError: a word that belongs to no flag, a flag without its value or with one that it cannot have.
        """
        named = dict.fromkeys(word.partition("=")[0] for word in words if word.startswith("--"))
        for flag in named:
            if flag not in self._option_string_actions and flag != "--":
                self.add_argument(flag, dest=flag.removeprefix("--"), action=Setting)
        self.exit_on_error = False
        try:
            namespace, strays = self.parse_known_args(words, into)
        except argparse.ArgumentError as error:
            flag = str(error.argument_name)
            action = self._option_string_actions.get(flag)
            if action is None:
                raise RecipeError(str(error)) from error
            if isinstance(error.__context__, argparse.ArgumentTypeError):
                raise RecipeError(f"{flag}: {error.message}") from error
            wrong = "takes no value" if action.nargs == 0 else f"needs a value, as in {flag} VALUE"
            raise RecipeError(f"{flag} {wrong}") from error
        if strays:
            raise RecipeError(f"{strays[0]!r} is not a flag: flags begin with --, as in --config encodec_24khz")
        return namespace

    def _parse_optional(self, arg_string: str) -> Any:
        if arg_string != "-h" and not arg_string.startswith("--"):
            return None
        return super()._parse_optional(arg_string)


@dataclass
class Words(argparse.Namespace):
    """What was typed, or given in Python.

    Attributes:
        configs: recipes, files and runs, each laid over those before it.
        scale: the scale's name, or None.
        imports: Python files with parts.
        settings: dotted name, with ``+`` where the value is appended to a list, and value: text as it was typed, or
            what YAML would give.
        dry_run: whether to print the plan and stop.
        print_config: whether to print the resolved settings and stop.
        compile: whether to compile the networks.
        help_all: whether to print every flag and stop.
    """

    configs: list[str] = field(default_factory=list)
    scale: str | None = None
    imports: list[str] = field(default_factory=list)
    settings: list[tuple[str, Any]] = field(default_factory=list)
    dry_run: bool = False
    print_config: bool = False
    compile: bool = False
    help_all: bool = False

    def joined(self, later: "Words") -> "Words":
        """These words and, after them, others, whose scale takes precedence."""
        joined = Words()
        for name, value in vars(later).items():
            before = getattr(self, name)
            setattr(joined, name, [*before, *value] if isinstance(value, list) else value or before)
        return joined


SWITCHES = {
    "print_config": "print the resolved settings as a YAML that --config reads, and stop",
    "dry-run": "print parts, sizes, bitrates, steps and estimates of memory and time, and stop",
    "compile": "compile the networks with torch.compile",
    "help-all": "print every flag, and stop",
}
"""Flags without a value, with their help."""

NO_SETTINGS = ("help", *SWITCHES)
"""Flags that take no value."""

Flag = str | int | float | bool | None | type | Path | Sequence[Any] | Mapping[str, Any]
"""A setting's value: a number, text, a part's name or class, a path, a list or mapping of these; None is null."""


def make_parser(command: str = "fit") -> SettingsParser:
    """The parser of ``fit``, ``validate`` or ``test``: their own options, and the settings that have short names."""
    layout = partial(argparse.RawDescriptionHelpFormatter, width=120, max_help_position=25)
    parser = SettingsParser(
        f"codeclab {command}", usage=f"codeclab {command} --config RECIPE [options]", formatter_class=layout
    )
    recipe = (
        "a recipe (`codeclab recipes` lists them), a .yaml file, or a run's folder; if given several times, later ones "
        "override earlier ones"
    )
    sizes = f"sizes of parts, batch and steps: {', '.join(names(SCALES))} (default: the recipe's, the paper's sizes)"
    start = "start from the weights of a run (its discriminators too), a codec's folder or file, or a hub id"
    audio = (
        "a tree of audio files, a manifest CSV, `recordings` (7 minutes of read speech that ship with codeclab) or "
        "`synthetic` (default: synthetic, sounds made in memory)"
    )
    own = "a Python file with your own parts; may be repeated. The run keeps a copy for later commands"
    named = "the run's name (default: derived from the settings)"
    add = parser.add_argument
    add("--config", dest="configs", action="append", type=not_empty, default=[], metavar="NAME", help=recipe)
    add("--scale", type=not_empty, metavar="NAME", help=sizes)
    add("--init", action=Setting, metavar="PATH_OR_ID", help=start)
    add("--data", dest="data.folder", action=Setting, metavar="FOLDER", help=audio)
    add("--name", action=Setting, metavar="NAME", help=named)
    add("--runs", action=Setting, metavar="FOLDER", help="where runs are kept (default: runs)")
    add("--import", dest="imports", action="append", type=not_empty, default=[], metavar="FILE.py", help=own)
    for name, text in SWITCHES.items():
        add(f"--{name}", action="store_true", help=text)
    return parser


def read_words(words: Sequence[str], command: str = "fit") -> Words:
    """What was typed; ``sys.argv`` is not read.

    Raises:
        RecipeError: a word that belongs to no flag, a flag without its value, or one that takes none with one.
    """
    parsed = Words()
    make_parser(command).read(words, parsed)
    return parsed


def typed_words(flags: Mapping[str, Flag]) -> Words:
    """Settings as a command line would give them, with their values as they are.

    Args:
        flags: values by the names that ``codeclab fit`` has for them, ``__`` for a dot; ``config`` and ``import`` take
            a name or a list of them.

    Raises:
        RecipeError: a name of a flag without a value, an empty text, or a value that YAML cannot hold.
    """
    words = Words()
    for key, value in flags.items():
        name = key.replace("__", ".")
        if name in NO_SETTINGS:
            raise RecipeError(f"--{name} takes no value")
        if isinstance(value, str) and not value:
            raise RecipeError(f"--{name} needs a value, as in --{name} VALUE")
        plain = _plain(name, value)
        if name == "scale":
            words.scale = plain
        elif name in ("config", "import"):
            (words.configs if name == "config" else words.imports).extend(plain if isinstance(plain, list) else [plain])
        else:
            words.settings.append((name, plain))
    return words


def _plain(name: str, value: Any) -> Any:
    """A value as YAML would give it; an error where YAML has none such."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Mapping):
        return {str(key): _plain(name, item) for key, item in value.items()}
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, Sequence):
        return [_plain(name, item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):  # NumPy's, too, which YAML could not write
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise RecipeError(
        f"--{name} is {value!r}, of {type(value).__name__}; give a number, text, a part's name or class, or a list or "
        "mapping of these"
    )
