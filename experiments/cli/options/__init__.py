"""The options of each command, a file a verb: what ``--help`` prints, without torch.

May import: experiments.config (files, names of parts), experiments.data (manifests); nothing that imports torch.
"""
