"""A table made row by row: read, drafted, planned, trained here, in processes or by Slurm, measured, collected.

May import: experiments.runs and all below it.
"""
