"""Measures codecs, and presents the figures.

From the bottom up: ``metrics`` (two signals), ``evaluate`` (a codec on clips), ``speed`` (tasks timed in turns),
``baselines`` (other coders on clips), ``tables`` (rows beside each other), ``report`` (a page with players),
``listening`` (a listening test).
``results`` holds measured figures, with the commands that measured them. No trainer and no logger is known here.

May import: codecs, quantizers.
"""
