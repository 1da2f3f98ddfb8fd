"""Makes a table row by row: read, draft, plan, train (here, in processes or by Slurm), measure and collect.

May import: experiments.runs and all below it.
"""
