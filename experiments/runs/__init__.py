"""What a run is: a folder, built from a config, begun or continued, with checkpoints, logs and samples.

``build`` makes everything a command needs, ``folder`` knows where things are, ``evaluate`` measures what was trained.
``step_time``, ``profiled_step``, ``sweep`` and ``peers`` time a batch; ``gpu_visit`` does so within minutes.

May import: experiments.tracking, experiments.config, experiments.train, experiments.data, and all below them.
"""
