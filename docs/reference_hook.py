"""A hook of mkdocs: ``::: PACKAGE.*`` on a page of reference stands for the package's modules of public names."""

import re
from pathlib import Path
from typing import Any

import codeclab

PAGES = sorted((Path(__file__).parent / "api").glob("*.md"))


def defined_at(name: str) -> str:
    """The full name of what ``codeclab`` offers under a name; that of its function for a metric."""
    if entry := codeclab.METRICS.get(name):
        return str(entry.function or entry.of_set or entry.codes).replace(":", ".")
    value = getattr(codeclab, name)
    module = getattr(value, "__module__", "codeclab.benchmarks.metrics.registry")  # METRICS is a dict
    return f"{module}.{getattr(value, '__qualname__', name)}"


def public_names() -> set[str]:
    """The full names of what ``codeclab`` offers."""
    return {defined_at(name) for name in dir(codeclab) if not name.startswith("_")}


def stated() -> set[str]:
    """Modules, and single names of modules, that the pages give by themselves."""
    return {name for page in PAGES for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.M)}


def modules_in(package: str) -> list[str]:
    """Modules right in a package that define a public name which no page states."""
    known = stated()
    missing = {name.rpartition(".")[0] for name in public_names() if name not in known}
    return sorted(module for module in missing if module.rpartition(".")[0] == package and module not in known)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put a line for each module in place of a package's."""
    return re.sub(
        r"^::: (\S+)\.\*$",
        lambda match: "\n\n".join(f"::: {module}" for module in modules_in(match[1])),
        markdown,
        flags=re.M,
    )
