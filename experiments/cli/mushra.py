"""``codeclab mushra prepare|serve|analyse``: a listening test, from runs to a column of the tables."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from codeclab.experiments.cli.options.mushra import SCALES, make_parser
from codeclab.experiments.config.recipes import RecipeError, import_file


def prepare(options: argparse.Namespace) -> int:
    """Make the test."""
    from codeclab.experiments.listen.prepare import prepare_test
    from codeclab.experiments.listen.request import ListeningRequest

    for file in options.imports:
        import_file(file)
    names = {one.name for one in fields(ListeningRequest)}
    given = {name: value for name, value in vars(options).items() if name in names}
    request = ListeningRequest(**given, lowest=SCALES[options.scale])
    folder = Path(options.output)
    for line in prepare_test(request, folder):
        print(line)
    print(f"Written to {folder}. Give listeners {folder / 'listen'} (they open index.html) and put the files they save")
    print(f"into {folder / 'ratings'}, or: codeclab mushra serve {folder}. Then: codeclab mushra analyse {folder}")
    print(f"{folder / 'key.json'} says which stimulus is which: keep it private.")
    return 0


def serve(options: argparse.Namespace) -> int:
    """Serve the test until it is interrupted."""
    from codeclab.benchmarks.listening.server import RatingsServer

    try:
        server = RatingsServer(Path(options.folder), options.host, options.port)
    except (OSError, OverflowError) as error:
        raise RecipeError(
            f"the server cannot listen at {options.host}:{options.port}: {error}; --port 0 takes a free one"
        ) from error
    with server:
        print(f"{server.test.title}: {server.address} (Ctrl-C ends it); ratings go to {server.ratings}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def analyse(options: argparse.Namespace) -> int:
    """Analyse the ratings and print the results."""
    from codeclab.benchmarks.listening.design import ListeningTest
    from codeclab.benchmarks.listening.figures import keep_figures
    from codeclab.benchmarks.listening.ratings import read_folder
    from codeclab.benchmarks.listening.results import analyse as analysed
    from codeclab.benchmarks.listening.results import markdown, write_results
    from codeclab.benchmarks.listening.screening import SCREENINGS as RULES

    folder = Path(options.folder)
    test = ListeningTest.load(folder)
    results = analysed(read_folder(folder, test), test, RULES[options.screening])
    files = write_results(results, folder)
    print(markdown(results))
    for line in keep_figures(results, folder):
        print(line)
    print(f"Written to {folder}: {', '.join(path.name for path in files)}")
    return 0


STEPS: dict[str, Callable[[argparse.Namespace], int]] = {"prepare": prepare, "serve": serve, "analyse": analyse}


def run(command: str, argv: list[str]) -> int:
    """``codeclab mushra``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        return STEPS[options.step](options)
    except ValueError as error:
        print(f"codeclab mushra {options.step}: {error}", file=sys.stderr)
        return 2
