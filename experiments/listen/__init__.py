"""Sources and systems for the report and for listening tests: the audio of runs and tables.

May import: experiments.runner and all below it.
"""
