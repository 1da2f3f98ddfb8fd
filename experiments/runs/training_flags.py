"""The flags of commands that train or measure a run, with the values of each, for shells that complete them."""

from functools import cache

from codeclab.experiments.config import words
from codeclab.experiments.config.files import RECIPES, SCALES, names
from codeclab.experiments.config.hints import choices_of, hints_of
from codeclab.experiments.config.parts import LINKED, all_slots, arguments, subclasses
from codeclab.experiments.runs.arguments import OWNERS
from codeclab.experiments.runs.build import make_parser


@cache
def flags_of(command: str) -> dict[str, list[str]]:
    """The flags of ``fit``, ``validate`` or ``test``, and the values each may have; empty if these cannot be listed."""
    own = [*words.make_parser(command)._actions, *make_parser(command)._actions]
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
