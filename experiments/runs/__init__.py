"""What a run is: a folder, built from a config, begun or continued, with checkpoints, logs and samples.

``build`` makes everything a command needs, ``folder`` knows where things are, ``evaluate`` measures what was trained.
The folder ``speed`` times what is built here.

May import: experiments.tracking, experiments.config, experiments.train, experiments.data, and all below them.
"""
