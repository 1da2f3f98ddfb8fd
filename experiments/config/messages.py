"""What the parser says of a mistake, in one line and in the project's words."""

import re
from collections.abc import Iterable

from codeclab.benchmarks.evaluate.wording import did_you_mean

SHOWN = 40
"""Most names listed in a message."""


def explain(error: str, known: Iterable[str]) -> str:
    """An error of the parser as one line.

    Args:
        error: what the parser said.
        known: dotted names of all settings there are.
    """
    known = sorted(known)
    unknown = re.findall(r"--([^=\s]+?)\+?=", error) if error.startswith("unrecognized arguments") else []
    unknown += re.findall(r'[Kk]ey "([^"]+)" is not expected', error)
    groups = re.findall(r"Group '([^']+)' does not accept (?:option|nested key) '([^']+)'", error)
    unknown += [f"{group}.{name}" for group, name in groups]
    if unknown:
        return "; ".join(_unknown(name, known) for name in unknown)
    keys = ".".join(re.findall(r'Parser key "([^"]+)"', error))
    value = re.search(r"(?:Got|Given) value: (.*)", error)
    expected = [
        _plain_type(kind) for kind in re.findall(r"Expected an? (.+?)(?:\. Got value.*)?$", error, re.MULTILINE)
    ]
    expected = [kind for kind in dict.fromkeys(expected) if not kind.startswith(("path but", "dot import"))]
    if keys and value and expected:
        if value[1].strip() == "None":
            return f"--{keys} is missing; it should be {' or '.join(expected)}"
        return f"--{keys} is {value[1].strip()}; it should be {' or '.join(expected)}"
    lines = [line.strip(" -") for line in error.splitlines() if line.strip()]
    return " ".join(lines[:3])


def shorten(message: str, most: int = 12) -> str:
    """A message that lists settings one a line: of an exchanged part only its class, and at most ``most`` lines."""
    lines = message.splitlines()
    exchanged = [line.split(".class_path:")[0] + ".init_args." for line in lines if ".class_path:" in line]
    kept = [line for line in lines if not line.startswith(tuple(exchanged))] if exchanged else lines
    first, listed, last = kept[:1], kept[1:-1], kept[-1:]
    rest = [f"  and {len(listed) - most} more"] if len(listed) > most else []
    return "\n".join([*first, *(line.replace(".class_path:", ":") for line in listed[:most]), *rest, *last])


def _unknown(name: str, known: list[str]) -> str:
    section = name.rpartition(".")[0]
    while section and not any(one.startswith(f"{section}.") for one in known):
        section = section.rpartition(".")[0]
    near = [one for one in known if one.startswith(f"{section}.")] if section else known
    hint = did_you_mean(name, near) or did_you_mean(name, known)
    depth = section.count(".") + 1 if section else 0
    children = sorted({one.split(".")[depth] for one in near if one.count(".") >= depth})
    listed = ", ".join(children[:SHOWN]) + (", …" if len(children) > SHOWN else "")
    return f"there is no --{name}{hint}; {f'after --{section}. come' if section else 'there are'}: {listed}"


def _plain_type(kind: str) -> str:
    kind = kind.removeprefix("<class '").removesuffix("'>").removeprefix("typing.")
    if kind.startswith("Literal["):
        return " or ".join(
            choice.strip(" '\"") for choice in kind.removeprefix("Literal[").removesuffix("]").split(",")
        )
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "list": "a list"}
    return {**names, "NoneType": "null"}.get(kind, kind)
