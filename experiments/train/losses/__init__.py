"""Reconstruction losses, a file each; ``base`` says what one promises.

May import: benchmarks.metrics, codecs, quantizers.
"""
