"""What a run is: a folder, built from a config, begun or continued, with checkpoints, logs and samples.

``build`` makes everything a command needs, and ``folder`` knows where things are. What was trained is measured in the
folder ``measure``; ``speed`` times what is built here.

May import: experiments.tracking and all below it.
"""
