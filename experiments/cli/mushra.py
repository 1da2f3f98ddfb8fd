"""``codeclab mushra prepare|serve|analyse``: a listening test, from runs to a column of the tables."""

import argparse
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.mushra import SCALES, make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import import_files


def prepare(options: argparse.Namespace) -> int:
    """Make the test."""
    from codeclab.experiments.listen import ListeningRequest, prepare_test

    import_files(options.imports)
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
    from codeclab.experiments.listen import RatingsServer

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
    from codeclab.experiments.listen import analyse_test

    for line in analyse_test(Path(options.folder), options.screening):
        print(line)
    return 0


STEPS: dict[str, Callable[[argparse.Namespace], int]] = {"prepare": prepare, "serve": serve, "analyse": analyse}


def run(command: str, argv: list[str]) -> int:
    """``codeclab mushra``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        return STEPS[options.step](options)
    except ValueError as error:
        return failed(f"mushra {options.step}", error)
