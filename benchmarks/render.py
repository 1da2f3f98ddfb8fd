"""A table as Markdown, LaTeX, CSV and terminal text."""

import csv
import io
import math
import re
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from codeclab.benchmarks.files import write_atomically
from codeclab.benchmarks.grid import Cell, Grid, domain_grids, main_grid, notes
from codeclab.benchmarks.plot import plot
from codeclab.benchmarks.statistics import ALL
from codeclab.benchmarks.table import Table, lines

CSV_COLUMNS = (
    *("row", "label", "domain", "bitrate_kbps", "metric", "mean", "ci95", "n", "failed"),
    *("published", "wall_seconds", "parameters", "error"),
)

LATEX_CHARACTERS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "—": "---",
}


def markdown(table: Table) -> str:
    """GitHub-flavoured Markdown: the whole test set, then each domain, then the notes."""
    parts = [f"## {escape_markdown(table.title)}", _markdown_grid(main_grid(table))]
    parts += [
        f"### {escape_markdown(domain)}\n\n{_markdown_grid(grid)}" for domain, grid in domain_grids(table).items()
    ]
    under = [f"* {escape_markdown(note)}" for note in notes(table)]
    return "\n\n".join(parts + (["\n".join(under)] if under else [])) + "\n"


def latex(table: Table) -> str:
    """A ``table`` environment for booktabs, one more ``tabular`` per domain, notes below."""
    parts = [r"\begin{table}", r"\centering", r"\small", rf"\caption{{{escape_latex(table.title)}}}"]
    parts += _latex_grid(main_grid(table))
    for domain, grid in domain_grids(table).items():
        parts += ["", r"\medskip", rf"\emph{{{escape_latex(domain)}}}", "", *_latex_grid(grid)]
    under = [escape_latex(note) for note in notes(table)]
    if under:
        parts += [
            "",
            r"\medskip",
            r"\begin{minipage}{\linewidth}\footnotesize",
            "\\\\\n".join(under),
            r"\end{minipage}",
        ]
    return "\n".join([*parts, r"\end{table}"]) + "\n"


def csv_long(table: Table) -> str:
    """One line per row, domain, bitrate and metric, at full precision; empty where there is nothing."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    all_names = (*table.metrics, *table.own_columns, *table.published_only)
    for domain in [ALL, *table.domains]:
        for line in lines(table, domain):
            row = line.row
            tail = (row.wall_seconds, row.parameters, row.error)
            names = [n for n in all_names if n in line.scores or n in line.published]
            for name in names or [""]:
                score = line.scores.get(name) or (None, None, None, None)
                figures = ["" if x is None or math.isnan(x) else x for x in score]
                figure = line.published.get(name)
                writer.writerow([row.name, line.label, domain, line.bitrate, name, *figures, figure, *tail])
    return target.getvalue()


def terminal(table: Table) -> Group:
    """Something that a rich console prints: the whole test set, each domain, the notes."""
    parts: list[RichTable | Text] = [_rich_grid(main_grid(table), table.title)]
    parts += [_rich_grid(grid, domain) for domain, grid in domain_grids(table).items()]
    return Group(*parts, *(Text(note, style="dim") for note in notes(table)))


def print_table(table: Table, console: Console | None = None) -> None:
    """Prints a table.

    Args:
        table: The table.
        console: Where; standard output where it is None.
    """
    (console or Console()).print(terminal(table))


def text(table: Table, width: int = 120) -> str:
    """What ``print_table`` prints, without colours, as a string.

    Args:
        table: The table.
        width: Columns of the terminal.
    """
    target = io.StringIO()
    print_table(table, Console(file=target, width=width))
    return target.getvalue().rstrip("\n")


def write_table(table: Table, folder: Path | str) -> None:
    """Writes ``table.md``, ``table.csv``, ``table.tex`` and ``table.png``, each atomically.

    Args:
        table: The table.
        folder: Where; made where it is missing.
    """
    folder = Path(folder)
    contents: dict[str, str | bytes] = {
        "md": markdown(table),
        "csv": csv_long(table),
        "tex": latex(table),
        "png": plot(table),
    }
    for ending, content in contents.items():
        write_atomically(folder / f"table.{ending}", content)


def escape_markdown(text: str) -> str:
    """Text that Markdown prints as it stands, in one line."""
    return re.sub(r"([\\|*_`<\[])", r"\\\1", " ".join(text.split()))


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands, in one line."""
    return "".join(LATEX_CHARACTERS.get(character, character) for character in " ".join(text.split()))


def _markdown_grid(grid: Grid) -> str:
    rule = [":---" if column < grid.left else "---:" for column in range(len(grid.headings))]
    rows = [[escape_markdown(heading) for heading in grid.headings], rule]
    rows += [[_bold(cell, escape_markdown(cell.text), "**{}**") for cell in row] for row in grid.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _latex_grid(grid: Grid) -> list[str]:
    columns = "l" * grid.left + "r" * (len(grid.headings) - grid.left)
    rows = [[_bold(cell, escape_latex(cell.text), r"\textbf{{{}}}") for cell in row] for row in grid.rows]
    return [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(escape_latex(heading) for heading in grid.headings) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _rich_grid(grid: Grid, title: str) -> RichTable:
    shown = RichTable(title=Text(title), title_justify="left", title_style="bold")
    for column, heading in enumerate(grid.headings):
        left = column < grid.left
        shown.add_column(Text(heading), justify="left" if left else "right", overflow="fold")
    for row in grid.rows:
        shown.add_row(*(Text(cell.text, style="bold" if cell.bold else "") for cell in row))
    return shown


def _bold(cell: Cell, escaped: str, frame: str) -> str:
    return frame.format(escaped) if cell.bold else escaped
