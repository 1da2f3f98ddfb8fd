"""Times tasks in turns on this machine, beside a matrix product and a copy, and beside other packages.

May import: benchmarks.metrics, benchmarks.evaluate, codecs.
"""
