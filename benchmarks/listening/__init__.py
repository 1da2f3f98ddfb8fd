"""A listening test (MUSHRA, ITU-R BS.1534), from its design to the figures that tables show.

It knows no codec; ``experiments/listen`` makes the sounds, and is the door by which others come in.

May import: benchmarks.report, benchmarks.tables, benchmarks.evaluate, codecs.
"""
