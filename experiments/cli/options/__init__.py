"""The options of each command, one file per command: what ``--help`` prints.

No file here imports torch, also not through another, so that help and completion come at once.

May import: experiments.config, experiments.data, experiments.runs, benchmarks.metrics, codecs.
"""
