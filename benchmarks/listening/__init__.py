"""A listening test (MUSHRA, ITU-R BS.1534): its design, page, server, ratings and their analysis.

It knows no codec; ``experiments/listen`` makes the sounds.

May import: benchmarks.report (its template), benchmarks.tables, benchmarks.evaluate.
"""
