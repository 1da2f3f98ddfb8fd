"""Sources and systems for the report and for listening tests: the audio of runs and tables.

May import: experiments.runs and all below it.
"""
