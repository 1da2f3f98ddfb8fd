"""Everything that measures, and what is made of the figures.

From the bottom up: ``metrics`` (two signals), ``evaluate`` (a codec on clips), ``speed`` (works timed in turns),
``baselines`` (other coders on clips), ``tables`` (rows beside each other), ``report`` (a page with players),
``listening`` (a listening test).
``results`` holds what was measured, with the commands that measured it.

May import: codecs, quantizers; no trainer and no logger.
"""
