"""The options of each command, one file per command: what ``--help`` prints, without torch.

May import: experiments.config (files, names of parts), experiments.data (manifests), experiments.runs, benchmarks and
codecs (names and wording); nothing that imports torch.
"""
