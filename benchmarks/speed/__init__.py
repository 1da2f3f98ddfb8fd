"""How fast things are on this machine: works timed in turns, beside what the machine can do and beside other packages.

May import: benchmarks.metrics, benchmarks.evaluate, codecs.
"""
