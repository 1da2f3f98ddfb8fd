"""The analysis of a listening test: its ratings, the results, and each run's figures for the tables."""

from collections.abc import Iterator
from pathlib import Path

from codeclab.benchmarks.listening.design import ListeningTest
from codeclab.benchmarks.listening.figures import store_figures
from codeclab.benchmarks.listening.ratings import read_folder
from codeclab.benchmarks.listening.results import analyse, markdown, write_results
from codeclab.benchmarks.listening.screening import SCREENINGS


def analyse_test(folder: Path, screening: str) -> Iterator[str]:
    """Analyse the ratings of a test; write the results into its folder and each run's figures into the run's.

    Args:
        folder: folder of the test, as ``prepare_test`` wrote it, with the listeners' ratings.
        screening: name of the rule by which listeners are screened, of ``SCREENINGS``.

    Yields:
        the results as Markdown, before any figure is kept; then messages for the user.

    Raises:
        ValueError: the test or its ratings cannot be read; the message says why.
    """
    test = ListeningTest.load(folder)
    results = analyse(read_folder(folder, test), test, SCREENINGS[screening])
    files = write_results(results, folder)
    yield markdown(results)
    yield from store_figures(results, folder)
    yield f"Written to {folder}: {', '.join(path.name for path in files)}"
