"""Makes a table row by row: read, draft, plan, train (here, or by submitit), measure and collect.

May import: experiments.listen and all below it.
"""
