"""A listening test (MUSHRA, ITU-R BS.1534): its design, page, server, ratings, their analysis,
and the figures of it that tables show.

It knows no codec; ``experiments/listen`` makes the sounds, and is the door by which others come in.

May import: benchmarks.report (its template), benchmarks.tables, benchmarks.evaluate.
"""
