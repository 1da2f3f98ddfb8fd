"""W&B: the description of a run, and a log that never stops or slows a training.

May import: benchmarks.metrics, codecs.
"""
