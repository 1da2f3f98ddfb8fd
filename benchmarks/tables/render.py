"""A table as Markdown, LaTeX, CSV and terminal text."""

import csv
import io
import math
import re
from pathlib import Path
from typing import Literal

from pandas import DataFrame
from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from codeclab.benchmarks.evaluate.console import console as standard_output
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.tables.grid import Cell, Grid, further_grids, main_grid, notes
from codeclab.benchmarks.tables.plot import plot
from codeclab.benchmarks.tables.record import write_record
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Table, lines
from codeclab.codecs.io.files import write_atomically

CSV_COLUMNS = (
    *("row", "label", "domain", "bitrate_kbps", "metric", "mean", "ci95", "n", "failed"),
    *("published", "wall_seconds", "parameters", "error"),
)

KEYS = 2
"""Columns that identify a line of a table: row and bitrate."""

NAME_WIDTH = 26
"""Names of rows longer than this are broken between words in a terminal."""

FRAME = 3
"""Terminal columns that a table's column takes beside its text."""

LATEX_CHARACTERS = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
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
    """GitHub-flavoured Markdown: the whole test set, rows clip by clip, each domain, the notes."""
    parts = [f"## {escape_markdown(table.title)}", markdown_grid(main_grid(table))]
    parts += [
        f"### {escape_markdown(heading)}\n\n{markdown_grid(grid)}" for heading, grid in further_grids(table).items()
    ]
    under = [f"* {escape_markdown(note)}" for note in notes(table)]
    return "\n\n".join(parts + (["\n".join(under)] if under else [])) + "\n"


def latex(table: Table) -> str:
    """A ``table`` environment for booktabs, one more ``tabular`` for rows clip by clip and per domain, notes below."""
    parts = [r"\begin{table}", r"\centering", r"\small", rf"\caption{{{escape_latex(table.title)}}}"]
    parts.append(_latex_grid(main_grid(table)))
    for heading, grid in further_grids(table).items():
        parts += ["", r"\medskip", rf"\emph{{{escape_latex(heading)}}}", "", _latex_grid(grid)]
    under = [escape_latex(note) for note in notes(table)]
    if under:
        parts += ["", r"\medskip", r"\begin{minipage}{\linewidth}\footnotesize"]
        parts += ["\\\\\n".join(under), r"\end{minipage}"]
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


def terminal(table: Table, width: int = 80) -> Group:
    """The table for a rich console: the whole test set, rows clip by clip, each domain, the notes.

    Args:
        table: table to render.
        width: columns of the terminal; metrics that do not fit beside one another follow in a table of their own.
    """
    grids = [(table.title, main_grid(table)), *further_grids(table).items()]
    parts = [_rich_grid(grid, columns, title) for title, grid in grids for columns in _spread(grid, width)]
    return Group(*parts, *(Text(note, style="dim") for note in notes(table)))


def print_table(table: Table, console: Console | None = None) -> None:
    """Print a table.

    Args:
        table: table to print.
        console: console to print to; None is standard output.
    """
    console = console or standard_output()
    console.print(terminal(table, console.width))


def text(table: Table, width: int = 120) -> str:
    """The output of ``print_table`` without colours, as a string.

    Args:
        table: table to render.
        width: columns of the terminal.
    """
    target = io.StringIO()
    print_table(table, Console(file=target, width=width))
    return target.getvalue().rstrip("\n")


def write_table(table: Table, folder: Path | str) -> None:
    """Write ``table.md``, ``table.csv``, ``table.tex``, ``table.png`` and, last, ``table.json``, each atomically.

    Args:
        table: table to write.
        folder: folder to write to; made where it is missing.
    """
    folder = Path(folder)
    contents = (("md", markdown(table)), ("csv", csv_long(table)), ("tex", latex(table)), ("png", plot(table)))
    for ending, content in contents:
        write_atomically(folder / f"table.{ending}", content)
    write_record(table, folder)


def escape_markdown(text: str) -> str:
    """Text that Markdown prints as it stands, in one line."""
    return re.sub(r"([\\|*_`<\[])", r"\\\1", " ".join(text.split()))


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands, in one line."""
    return "".join(LATEX_CHARACTERS.get(character, character) for character in " ".join(text.split()))


def markdown_grid(grid: Grid) -> str:
    """Headings and cells as a table of GitHub-flavoured Markdown, text to the left and figures to the right.

    pandas' ``to_markdown`` would need ``tabulate``, pads cells to equal width and escapes nothing.
    """
    rule = [":---" if column < grid.left else "---:" for column in range(len(grid.headings))]
    rows = [[escape_markdown(heading) for heading in grid.headings], rule]
    rows += [[_bold(cell, escape_markdown(cell.text), "**{}**") for cell in row] for row in grid.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _latex_grid(grid: Grid) -> str:
    columns = "l" * grid.left + "r" * (len(grid.headings) - grid.left)
    rows = [[_bold(cell, escape_latex(cell.text), r"\textbf{{{}}}") for cell in row] for row in grid.rows]
    frame = DataFrame(rows, columns=[escape_latex(heading) for heading in grid.headings])
    return frame.style.hide(axis="index").to_latex(column_format=columns, hrules=True).rstrip("\n")


def _spread(grid: Grid, width: int) -> list[list[int]]:
    """The columns of each table: as many as fit, figures unbroken, a published one beside ours, the keys in each."""
    needed = [_needed(grid, column) for column in range(len(grid.headings))]
    groups: list[list[int]] = []
    for column in range(KEYS, len(grid.headings)):
        if groups and grid.headings[column] == "published":
            groups[-1].append(column)
        else:
            groups.append([column])
    keys = list(range(min(KEYS, len(grid.headings))))
    spread = [keys]
    for group in groups:
        taken = sum(needed[column] for column in [*spread[-1], *group]) + 1
        if taken > width and len(spread[-1]) > len(keys):
            spread.append(list(keys))
        spread[-1] = [*spread[-1], *group]
    return spread


def _needed(grid: Grid, column: int) -> int:
    """Terminal columns, frame included, in which no figure, no word of a heading and no short name is broken."""
    texts = [row[column].text for row in grid.rows]
    words = grid.headings[column].split()
    if column == 0:  # a longer name is broken between its words
        words += [word for text in texts for word in text.split()]
        return max([min(max(map(cell_len, texts), default=0), NAME_WIDTH), *map(cell_len, words)]) + FRAME
    return max(map(cell_len, [*words, *texts])) + FRAME


def _rich_grid(grid: Grid, columns: list[int], title: str) -> RichTable:
    rich_table = RichTable(title=Text(title), title_justify="left", title_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "left" if column < grid.left else "right"
        size = _needed(grid, column) - FRAME
        rich_table.add_column(Text(grid.headings[column]), justify=justify, overflow="fold", width=size)
    for row in grid.rows:
        rich_table.add_row(*(Text(row[column].text, style="bold" if row[column].bold else "") for column in columns))
    return rich_table


def _bold(cell: Cell, escaped: str, frame: str) -> str:
    return frame.format(escaped) if cell.bold else escaped


def evaluation_text(evaluation: Evaluation) -> str:
    """The summary of a codec's or a baseline's evaluation as a table for people, with what failed under it."""
    info, spent = evaluation.info, evaluation.as_spent()
    rows = [RowResult.named(info.get("name") or "codec", spent.summary, requested=spent.requested)]
    return text(Table("Measured", "", info["metrics"], rows, ranked=True))
