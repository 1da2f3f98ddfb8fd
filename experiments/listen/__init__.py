"""What can be heard of runs and tables: sources and systems for the report and for a listening test.

May import: experiments.runner and all below it.
"""
