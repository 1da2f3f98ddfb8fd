"""One self-contained page that compares codecs: table, curves, and players that switch between codecs in place.

May import: benchmarks.tables, benchmarks.evaluate, codecs.
"""

from codeclab.benchmarks.report.page import Report, render
from codeclab.benchmarks.report.player import PlayedClip, Stimulus

__all__ = ["PlayedClip", "Report", "Stimulus", "render"]
