"""The command line, one file per command: arguments and printing, nothing else.

``commands`` lists the commands and imports only the one that is used.

May import: experiments.cli.options and all below it.
"""

from codeclab.experiments.cli.commands import main

__all__ = ["main"]
