"""Listening tests of runs and tables: prepared, served, analysed; and the page of the report.

This is the one door of the room, to which ``benchmarks/listening`` belongs, too: callers outside import from here
alone. A name's module is imported when the name is first requested.

May import: experiments.runs.measure and all below it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codeclab.benchmarks.listening.figures import with_figures as with_figures
    from codeclab.benchmarks.listening.server import RatingsServer as RatingsServer
    from codeclab.experiments.listen.analyse import analyse_test as analyse_test
    from codeclab.experiments.listen.prepare import prepare_test as prepare_test
    from codeclab.experiments.listen.report_page import ReportRequest as ReportRequest
    from codeclab.experiments.listen.report_page import make_report as make_report
    from codeclab.experiments.listen.request import ListeningRequest as ListeningRequest
    from codeclab.experiments.listen.sources import read_sources as read_sources

_MODULES = {
    "ListeningRequest": "codeclab.experiments.listen.request",
    "RatingsServer": "codeclab.benchmarks.listening.server",
    "ReportRequest": "codeclab.experiments.listen.report_page",
    "analyse_test": "codeclab.experiments.listen.analyse",
    "make_report": "codeclab.experiments.listen.report_page",
    "prepare_test": "codeclab.experiments.listen.prepare",
    "read_sources": "codeclab.experiments.listen.sources",
    "with_figures": "codeclab.benchmarks.listening.figures",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first requested: commands that only parse arguments load nothing heavy."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_MODULES[name]), name)
