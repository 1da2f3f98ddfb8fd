"""The command line, a file a verb: arguments and printing, nothing else.

``commands`` lists the verbs and imports only the one that is used.

May import: everything.
"""

from codeclab.experiments.cli.commands import main

__all__ = ["main"]
