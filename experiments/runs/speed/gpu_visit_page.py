"""The Markdown page of a visit to a machine with a GPU."""

from collections.abc import Mapping, Sequence
from typing import Any

from codeclab.codecs.wording import counted

HEADER = (
    "| work | batch | precision | ms a batch | busy, ms | busy share | launches | GiB | x |\n"
    "|---|---|---|---:|---:|---:|---:|---:|---:|"
)
NOTES = (
    "Medians, with the fastest in brackets. Launches are kernels (on a CPU, operators that no other operator called); "
    "a CUDA graph launches all of its own at once. "
    "Launches and the time in which a kernel is at work are of batches under a profiler. The busy share is that time "
    "in the median of the batches without it. x: how many times faster than the released loop, in turns with it, in "
    "float32, either on one batch in memory."
)


def page(figures: Mapping[str, Any]) -> str:
    """A visit as a page.

    Args:
        figures: content of ``visit.json``.
    """
    lines = ["# Training steps on a GPU", "", f"{figures['date']}, {figures['machine']}, commit {figures['commit']}."]
    lines += [NOTES, "", HEADER]
    lines += [_line(entry) for entry in figures["results"]]
    if figures["tests"]:
        lines += ["", f"CUDA tests: {', '.join(f'{count} {state}' for state, count in figures['tests'].items())}."]
    if figures["graphs_equal_eager"]:
        lines += ["", *_compared_lines(figures["graphs_equal_eager"])]
    if training := figures["training"]:
        lines += ["", f"EnCodec 24 kHz, `lab`: {counted(training['batches'], 'batch', 'batches')} trained."]
        if "evaluation" in training:
            lines += ["", *_evaluation_lines(training["evaluation"])]
    lines += ["", "| part | s | |", "|---|---:|---|"]
    lines += [f"| {one['name']} | {one['seconds']:.0f} | {one['failure'] or 'done'} |" for one in figures["parts"]]
    return "\n".join(lines) + "\n"


def _evaluation_lines(summary: Sequence[Mapping[str, str]]) -> list[str]:
    lines = ["| kbps | metric | mean | 95 % | clips |", "|---:|---|---:|---:|---:|"]
    for row in summary:
        measured = f"{float(row['mean']):.4g} | ± {float(row['ci95']):.2g} | {row['n']}"
        lines.append(f"| {float(row['bitrate_kbps']):.4g} | {row['metric']} | {measured} |")
    return [*lines, "", "`cat codec.tar.* | tar x` unpacks the codec, whose numbers are float16, and its evaluation."]


def _compared_lines(comparison: Mapping[str, Any]) -> list[str]:
    batches = counted(comparison["batches"], "batch", "batches")
    what = f"CUDA graphs beside the eager step: {batches}, {comparison['replays']} of them replayed."
    lines = [
        f"{what} The largest difference of each logged number, as a share of its largest value, and that of two eager "
        "trainings:",
        *("", "| number | graphs | eager again |", "|---|---:|---:|"),
    ]
    return lines + [f"| {name} | {one:.1e} | {again:.1e} |" for name, (one, again) in comparison["differences"].items()]


def _line(entry: Mapping[str, Any]) -> str:
    info, step = entry["info"], entry["phases"]["step"]
    wall = step["wall_s"]
    memory = step.get("peak_gpu_mb", step.get("peak_rss_mb"))
    ratio = entry.get("speedup_over_first", {}).get("step")
    cells = [
        entry["title"],
        f"{info['batch']} × {info['seconds']:g} s",
        {"32-true": "float32", "bf16-mixed": "bf16"}.get(info["precision"], info["precision"]),
        f"{1000 * wall['median']:.0f} ({1000 * wall['min']:.0f})",
        f"{1000 * step['busy_s']:.0f}",
        f"{100 * step['busy_share']:.0f} %",
        f"{step['launches']:,}",
        "" if memory is None else f"{memory / 1024:.1f}",
        "" if ratio is None else f"{ratio:.2f}",
    ]
    return f"| {' | '.join(cells)} |"
