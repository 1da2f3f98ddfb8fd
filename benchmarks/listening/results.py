"""The results of a listening test, and the files that hold them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.listening.analysis import SIGNIFICANT, Pair, means, pairs
from codeclab.benchmarks.listening.design import LOW_ANCHOR, ListeningTest
from codeclab.benchmarks.listening.plot import plot
from codeclab.benchmarks.listening.ratings import Ratings, scores
from codeclab.benchmarks.listening.screening import SCREENINGS, Screened, Screening, screen
from codeclab.benchmarks.tables.grid import NOTHING, Cell, Grid, with_interval
from codeclab.benchmarks.tables.render import escape_markdown, markdown_grid
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.wording import counted

PAPERS_RATINGS = 10
"""Least ratings of each stimulus in EnCodec's tests (section 4.3)."""


@dataclass(frozen=True)
class Results:
    """The results of a listening test.

    Args:
        test: listening test that was rated.
        listeners: names of all listeners, by id.
        screened: result of the screening of each listener.
        scores: ratings of those that count, one a line.
        means: mean ratings, as ``analysis.means`` gives them.
        pairs: compared systems, as ``analysis.pairs`` gives them.
        screening: rule by which the listeners were screened.
    """

    test: ListeningTest
    listeners: dict[str, str]
    screened: list[Screened]
    scores: DataFrame
    means: DataFrame
    pairs: list[Pair]
    screening: Screening

    @property
    def counted(self) -> int:
        """Listeners whose ratings count."""
        return sum(one.reason is None for one in self.screened)

    @property
    def domains(self) -> list[str]:
        """All clips, and the domains where there are several: one alone is all there is."""
        domains = list(dict.fromkeys(self.means["domain"]))
        return domains if len(domains) > 2 else domains[:1]

    @property
    def description(self) -> str:
        """The test and its number of listeners, in words."""
        return described(self.test.id, self.counted, len(self.screened) - self.counted)


def described(test: str, listeners: int, screened_out: int) -> str:
    """A test, by its id, and its number of listeners, in words."""
    out = f", {screened_out} screened out" if screened_out else ""
    return f"listening test {test}, {counted(listeners, 'listener')}{out}"


def analyse(ratings: Sequence[Ratings], test: ListeningTest, screening: Screening = SCREENINGS["encodec"]) -> Results:
    """Screen the listeners, and compute means and tests of the others.

    Args:
        ratings: ratings of all listeners.
        test: test that they rated.
        screening: rule for which listeners count.

    Raises:
        ValueError: no listener is left.
    """
    every = scores(ratings, test)
    screened = screen(every, screening)
    named = {one.listener: one.called for one in ratings}
    counting = every[every["listener"].isin([one.listener for one in screened if one.reason is None])]
    if counting.empty:
        reasons = "; ".join(f"{named[one.listener]} {one.reason}" for one in screened)
        raise ValueError(f"no listener is left after screening: {reasons}")
    compared = means(counting, test.conditions), pairs(counting, test.conditions)
    return Results(test, named, screened, counting, *compared, screening)


def markdown(results: Results) -> str:
    """The results as Markdown: means by condition and domain, listeners screened out, pairs, and notes."""
    parts = [f"## {escape_markdown(results.test.title)}", _mean_table(results)]
    parts.append("\n".join(f"* {escape_markdown(note)}" for note in notes(results)))
    parts += ["### Systems compared", _pair_table(results.pairs)] if results.pairs else []
    return "\n\n".join(parts) + "\n"


def notes(results: Results) -> list[str]:
    """Notes under the means."""
    counts = results.scores.groupby(["page", "condition"]).size()
    there = sum(len(page.stimuli) for page in results.test.pages)
    low, high = int(counts.min()) if len(counts) == there else 0, int(counts.max())
    remarks = [
        f"{results.description[0].upper()}{results.description[1:]}; {counted(len(results.scores), 'rating')}, "
        f"{low if low == high else f'{low} to {high}'} of each stimulus.",
        "± is half of the 95 % interval over ratings, as in the papers' tables; the column beside it is over the means "
        "of listeners, which generalizes to other listeners.",
    ]
    remarks += [
        f"{results.listeners[one.listener]} was screened out: {one.reason}." for one in results.screened if one.reason
    ]
    remarks.append(f"Which listeners count: {results.screening.name}.")
    if not any(condition.kind == LOW_ANCHOR for condition in results.test.conditions):
        remarks.append("This test had no low anchor; its figures cannot be compared with those of tests that have one.")
    if low < PAPERS_RATINGS:
        remarks.append(f"EnCodec's tests have at least {PAPERS_RATINGS} ratings of each stimulus.")
    if len({page.clip for page in results.test.pages}) < len(results.test.pages):
        remarks.append("The systems of each clip were spread over several pages, so not all were compared directly.")
    return remarks


def _mean_table(results: Results) -> str:
    domains = results.domains
    rows = []
    for condition in results.test.conditions:
        own = results.means[results.means["condition"] == condition.name]
        by_domain = {line["domain"]: line for line in own.to_dict("records")}
        half = by_domain[ALL]["ci95_listeners"]
        between = "" if math.isnan(half) else f"± {half:.1f}"
        rate = "" if condition.bitrate is None else f"{condition.bitrate:.4g}"
        cells = [with_interval(by_domain[domain]["mean"], by_domain[domain]["ci95"], ".1f") for domain in domains]
        rows.append([Cell(text) for text in (condition.name, rate, cells[0], between, *cells[1:])])
    return markdown_grid(Grid(["Condition", "kbps", "MUSHRA", "± listeners", *domains[1:]], rows))


def _pair_table(comparisons: Sequence[Pair]) -> str:
    rows = []
    for pair in comparisons:
        difference = with_interval(pair.difference.mean, pair.difference.half_width, "+.1f")
        cells = [pair.first, pair.second, difference, str(pair.difference.n), _p(pair.p), _p(pair.adjusted)]
        rows.append([Cell(text) for text in (*cells, pair.better or NOTHING)])
    headings = ["First", "Second", "First − second", "Listeners", "p", "p (Holm)", "Rated higher"]
    explanation = (
        "Wilcoxon's signed-rank test, two-sided, on the listeners' mean differences over these clips; Holm's "
        f"correction over all pairs; rated higher where p < {SIGNIFICANT:g}, which takes six listeners at least."
    )
    return f"{markdown_grid(Grid(headings, rows, left=2))}\n\n{explanation}"


def _p(value: float) -> str:
    return "≤ 0.0001" if value <= 1e-4 else f"{value:.4f}"


def write_results(results: Results, folder: Path) -> list[Path]:
    """Write ``results.md``, ``results.csv``, ``pairs.csv``, ``scores.csv`` and ``results.png``, each atomically.

    Args:
        results: results to write.
        folder: folder to write to.

    Returns:
        the files.
    """
    footnote = f"95 % intervals over ratings; {results.description}."
    rows = [(p.first, p.second, *p.difference, p.p, p.adjusted, p.better) for p in results.pairs]
    compared = DataFrame(rows, columns=["first", "second", "difference", "ci95", "n", "p", "p_holm", "rated_higher"])
    contents: dict[str, str | bytes] = {
        "results.md": markdown(results),
        "results.csv": results.means.to_csv(index=False, lineterminator="\n"),
        "pairs.csv": compared.to_csv(index=False, lineterminator="\n"),
        "scores.csv": results.scores.to_csv(index=False, lineterminator="\n"),
        "results.png": plot(results.test.title, results.means, results.domains, footnote),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]
