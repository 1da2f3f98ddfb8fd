"""How fast runs train: a batch, its parts and its operators, timed.

``step_time`` times a batch, ``sweep`` one of each size, ``loader_speed`` the loader; ``profiled_step`` counts launches.
``peers`` is our side beside other codebases. ``gpu_visit`` does what a borrowed GPU is for in one command.

May import: experiments.runs and all below it.
"""
