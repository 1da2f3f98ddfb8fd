"""Errors about mistakes in the settings, in one line and in the project's words."""

import dataclasses
import types as builtin_types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import NonNegativeFloat

from codeclab.codecs.wording import did_you_mean
from codeclab.experiments.config.hints import alternatives, class_named
from codeclab.experiments.config.parts import check_argument, read_value

MOST_NAMES = 40
"""Most names listed in a message."""

MOST_LINES = 12

MADE_FOR = "made_for"
"""The setting that a table writes into its runs; no user gives it."""

WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    tuple: "a list",
    Sequence: "a list",
    dict: "a mapping",
    builtin_types.NoneType: "null",
    NonNegativeFloat: "a number, 0 or more",
}


def explain(
    error: str,
    given: Sequence[tuple[str, Any]],
    hints: Mapping[str, Any],
    known: Iterable[str],
    required: Mapping[str, str],
) -> str:
    """Why the parser refused settings: the one that is unknown, has the wrong type or is missing.

    Args:
        error: the parser's message, which is returned if no such setting is found.
        given: the settings, recipes' first: dotted name and value.
        hints: types by dotted name.
        known: dotted names of all settings there are.
        required: the expected values of settings without a default, by dotted name.

    Raises:
        RecipeError: a class does not take an argument; the message lists those that it takes.
    """
    known = sorted(name for name in known if not name.endswith((".help", "print_shtab")))
    unknown = [name for name, _ in given if not _is_known(name, known, hints)]
    if unknown:
        offered = [name for name in known if name not in (MADE_FOR, "help")]
        return "; ".join(_unknown(name, offered, hints) for name in dict.fromkeys(unknown))
    classes = {name: class_named(value, hints[name]) for name, value in given if name in hints}
    for name, value in given:
        outer, _, argument = name.rpartition(".")
        if (kind := classes.get(outer)) and argument != "help":
            check_argument(outer, kind, argument)
        if classes.get(name):
            continue
        wrong = misfit(value, hints[name]) if name in hints else None
        if wrong:
            return f"--{name} is {wrong[0]}; it should be {wrong[1]}"
    values = dict(given)
    for name, wanted in required.items():
        if values.get(name) is None:
            return f"--{name} is missing; it should be {wanted}"
    lines = [line.strip(" -") for line in error.splitlines() if line.strip()]
    return " ".join(lines[:3])


def misfit(value: Any, hint: Any) -> tuple[Any, str] | None:
    """The part of a value that does not fit a type (an element, if it is a list) and what would; None if it fits."""
    if _fits(value, hint):
        return None
    read = value
    if isinstance(value, str) and value.lstrip().startswith("["):
        read = read_value("value", value) if _fits(value, list) else value
    for kind in alternatives(hint):
        if isinstance(read, list) and typing.get_origin(kind) in (list, Sequence):
            for element in read:
                if wrong := misfit(element, typing.get_args(kind)[0]):
                    return wrong
    return value, describe(hint)


def describe(hint: Any) -> str:
    """A type in words, such as ``a whole number or null``."""
    words: list[str] = []
    for kind in alternatives(hint):
        if typing.get_origin(kind) is Literal:
            words += [str(choice) for choice in typing.get_args(kind)]
        else:
            plain = typing.get_origin(kind) or kind
            if plain in WORDS or dataclasses.is_dataclass(plain):
                words.append(WORDS.get(plain, WORDS[dict]))
            elif isinstance(plain, type) and plain.__module__ not in ("collections.abc", "os", "pathlib"):
                words.append(f"the name of {'an' if plain.__name__[0] in 'AEIOU' else 'a'} {plain.__name__}")
    return " or ".join(dict.fromkeys(words))


def _fits(value: Any, hint: Any) -> bool:
    if value is None:
        return builtin_types.NoneType in alternatives(hint)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    try:
        parser.parse_object({"value": value})
    except ArgumentError:
        return False
    return True


def _is_known(name: str, known: Sequence[str], hints: Mapping[str, Any]) -> bool:
    """Whether there is such a setting, or it may be an argument of a part."""
    if name in known or name in hints:
        return True
    above = name
    while "." in above:
        above = above.rpartition(".")[0]
        if above in known or above in hints:
            return not any(one.startswith(f"{above}.") for one in known)
    return False


def shorten(message: str) -> str:
    """A message with one setting per line, at most ``MOST_LINES``; for an exchanged part, only its class."""
    lines = message.splitlines()
    exchanged = [line.split(".class_path:")[0] + ".init_args." for line in lines if ".class_path:" in line]
    remaining = [line for line in lines if not line.startswith(tuple(exchanged))] if exchanged else lines
    first, listed, last = remaining[:1], remaining[1:-1], remaining[-1:]
    rest = [f"  and {len(listed) - MOST_LINES} more"] if len(listed) > MOST_LINES else []
    return "\n".join([*first, *(line.replace(".class_path:", ":") for line in listed[:MOST_LINES]), *rest, *last])


def _unknown(name: str, known: list[str], of_parts: Iterable[str]) -> str:
    section = name.rpartition(".")[0]
    while section and not any(one.startswith(f"{section}.") for one in known):
        section = section.rpartition(".")[0]
    near = [one for one in known if one.startswith(f"{section}.")] if section else known
    hint = did_you_mean(name, [*near, *known, *of_parts])
    depth = section.count(".") + 1 if section else 0
    children = sorted({one.split(".")[depth] for one in near if one.count(".") >= depth})
    listed = ", ".join(children[:MOST_NAMES]) + (", …" if len(children) > MOST_NAMES else "")
    return f"there is no --{name}{hint}; {f'--{section}. takes' if section else 'there are'}: {listed}"
