"""A manifest's rows in a few lines: files and hours by split and domain, and what cannot be used."""

from collections.abc import Sequence
from typing import Any

from codeclab.codecs.wording import by_number
from codeclab.experiments.data.manifest import COPY_COLUMN

MOST_NAMES = 5
"""Most names that a line lists."""


def summarize(rows: Sequence[dict[str, Any]]) -> str:
    """Files, hours and full-band files by split and domain, and the files that cannot be used, as lines."""
    lines = []
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if not row.get("problem"):
            groups.setdefault((row.get("split") or "-", row.get("domain") or "all"), []).append(row)
    for (split, domain), group in sorted(groups.items()):
        hours = sum(float(row.get("seconds") or 0) for row in group) / 3600
        files = by_number(len(group), "file", "files")
        full = sum(str(row.get("full_band")).lower() == "true" for row in group)
        lines.append(f"{split:6} {domain:12} {len(group):8} {files:5} {hours:10.3f} h {full:8} full-band")
    useless = [f"{row.get('name') or row['path']} ({row['problem']})" for row in rows if row.get("problem")]
    if useless:
        lines.append(f"unusable: {first_names(useless)}")
    copies = [f"{row.get('name') or row['path']} (of {row[COPY_COLUMN]})" for row in rows if row.get(COPY_COLUMN)]
    if copies:
        lines.append(f"copies of other files: {first_names(copies)}")
    return "\n".join(lines)


def not_listed(skipped: Sequence[tuple[str, str]]) -> str:
    """The names and reasons of files that a corpus leaves out, for messages."""
    return f"not listed: {first_names([f'{name} ({reason})' for name, reason in skipped])}"


def first_names(names: Sequence[str]) -> str:
    """The number of names, and the first of them."""
    more = f"; and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{len(names)}: {'; '.join(names[:MOST_NAMES])}{more}"
