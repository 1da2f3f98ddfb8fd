"""Which systems a listening test compares: those behind runs and tables, and those named."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from codeclab.benchmarks.baselines.measure import asked_rates
from codeclab.benchmarks.baselines.registry import describe_baseline
from codeclab.benchmarks.evaluate import offered
from codeclab.codecs.codec import Codec
from codeclab.codecs.storage import identity
from codeclab.experiments.assemble import RecipeError
from codeclab.experiments.evaluate_run import read_baseline
from codeclab.experiments.report_sources import Source, has_figures, read_sources
from codeclab.experiments.run_folder import RunFolder
from codeclab.experiments.subjects import Subject, subject_of


def read_subjects(
    words: Sequence[str], baselines: Sequence[Sequence[str]], bitrates: Sequence[float] | None
) -> tuple[list[Subject], list[str]]:
    """The systems of a test.

    Args:
        words: runs, a table's folder, or what ``Codec.from_pretrained`` reads.
        baselines: each a name and ``ARGUMENT=VALUE`` words.
        bitrates: kbps wanted; None is all that were measured, or are offered.

    Returns:
        The systems, each with those of its bitrates that are wanted, and what there is to say.

    Raises:
        RecipeError: one cannot be had, or has none of the bitrates.
    """
    figures = [Path(word) for word in words if has_figures(Path(word))]
    found: list[Subject] = []
    messages: list[str] = []
    unheard: list[Source] = []
    for source in read_sources(figures).found if figures else []:
        try:
            found.append(subject_of(source))
        except ValueError as error:
            unheard.append(source)
            messages.append(str(error))
    found += [_named(word, unheard) for word in words if Path(word) not in figures]
    found += [_baseline(spec, bitrates) for spec in baselines]
    if not found:
        raise RecipeError("nothing here can be heard: " + " ".join(messages))
    chosen = [_at(subject, bitrates) for subject in found]
    return _by_own_names(chosen), messages


def _named(word: str, unheard: Sequence[Source]) -> Subject:
    """A codec that was not measured, or whose figures lie elsewhere."""
    codec = Codec.from_pretrained(word)
    path = Path(word)
    rates = {kbps: float(count) for kbps, count in offered(codec, None).items()}
    if path.is_dir():
        name = path.resolve().name
        return Subject(name, rates, codec=word, source=Source(name, RunFolder(path), path / "evaluation"))
    known = identity(codec)
    source = next((source for source in unheard if source.evaluation.info.get("codec") == known), None)
    return Subject(word, rates, codec=word, source=source)


def _baseline(words: Sequence[str], bitrates: Sequence[float] | None) -> Subject:
    try:
        baseline = read_baseline(list(words))
    except RuntimeError as error:
        raise RecipeError(str(error)) from error
    asked = asked_rates(baseline, bitrates)
    return Subject(baseline.name, {rate: rate for rate in asked}, baseline=describe_baseline(baseline))


def _at(subject: Subject, bitrates: Sequence[float] | None) -> Subject:
    if bitrates is None:
        return subject
    # A baseline is asked for 6 kbps and spends 7.
    names = {kbps: (kbps, asked) if subject.codec is None else (kbps,) for kbps, asked in subject.rates.items()}
    near = {
        kbps: subject.rates[kbps]
        for kbps, known in names.items()
        if any(abs(one - wanted) <= 0.01 * wanted for one in known for wanted in bitrates)
    }
    if not near:
        there = ", ".join(f"{kbps:.4g}" for kbps in subject.rates)
        raise RecipeError(f"{subject.name} has none of these bitrates; it has {there} kbps")
    return replace(subject, rates=near)


def _by_own_names(subjects: Sequence[Subject]) -> list[Subject]:
    seen: dict[str, int] = {}
    named = []
    for subject in subjects:
        seen[subject.name] = seen.get(subject.name, 0) + 1
        again = seen[subject.name]
        named.append(subject if again == 1 else replace(subject, name=f"{subject.name} ({again})"))
    return named
