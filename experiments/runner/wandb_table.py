"""A table as one W&B run: every row's figures beside the published ones, with a clip to listen to."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codeclab.benchmarks.evaluate.columns import COLUMNS
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.tables.table import Line, Table, lines
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.tracking.wandb_run import is_wanted, start_run


def log_table(table: Table, jobs: Mapping[str, Sequence[Job]], output: Path) -> None:
    """Log a table to a W&B run of its own, which the same table continues; nothing where W&B is not wanted.

    Args:
        table: table that was made.
        jobs: jobs of each row, by its name; the clips are those of the first.
        output: the table's folder, where the log is written.
    """
    if not is_wanted():
        return
    try:
        _log(table, jobs, output)
    except Exception as error:  # whatever W&B raises: the table is made and written
        print(f"note: W&B: the table is not logged there: {type(error).__name__}: {error}", file=sys.stderr)


def _log(table: Table, jobs: Mapping[str, Sequence[Job]], output: Path) -> None:
    import wandb

    table_lines = lines(table)
    titles = figure_titles(table, table_lines)
    clips = {name: newest_clip(made[0].folder) for name, made in jobs.items() if made}
    columns = ["row", "kbps", *(f"{title}{kind}" for title in titles.values() for kind in ("", ", published"))]
    rows: list[Iterable[Any]] = []
    for line in table_lines:
        cells = [cell for name in titles for cell in figures_of(line, name)]
        audio = [wandb.Audio(str(path)) if path else None for path in clips.get(line.row.name) or (None, None)]
        rows.append([line.row.name, line.bitrate, *cells, line.row.wall_seconds, line.row.error, *audio])
    columns += ["training, s", "error", "original", "coded"]
    described: dict[str, Any] = {"group": output.name, "job_type": "table", "tags": [output.name[:64]]}
    described |= {"config": {"title": table.title, "source": table.source, "notes": table.notes}}
    run = start_run(output, described)
    run.log({"table": wandb.Table(columns=list[str | int](columns), data=rows, allow_mixed_types=True)})
    run.finish()


def figure_titles(table: Table, table_lines: Sequence[Line]) -> dict[str, str]:
    """What a table's figures are called, by metric or column; those that only the paper has come last."""
    names = [*table.metrics, *table.own_columns, *table.published_only]
    used = {name for line in table_lines for name in (*line.scores, *line.published)}
    titles = {name: part.title for name, part in METRICS.items()} | {n: c.title for n, c in COLUMNS.items()}
    return {name: titles.get(name, name) for name in names if name in used}


def figures_of(line: Line, name: str) -> tuple[float | None, str | None]:
    """A line's own figure, and the published one as text: some are words."""
    score, published = line.scores.get(name), line.published.get(name)
    return (None if score is None else score.mean), (None if published is None else str(published))


def newest_clip(folder: RunFolder) -> tuple[Path, Path] | None:
    """A run's first clip and its newest reconstruction at the run's main bitrate; None where it kept none."""
    for original in sorted(folder.samples.glob("*.original.flac")):
        name = original.name.removesuffix(".original.flac")
        steps = [path.name.removeprefix(f"{name}.").removesuffix(".flac") for path in folder.samples.glob(f"{name}.*")]
        done = [int(step) for step in steps if step.isdigit()]
        if done:
            return original, folder.samples / f"{name}.{max(done)}.flac"
    return None
