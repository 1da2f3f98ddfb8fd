"""Distances between two signals, ``[C, N]`` both, a file each, which declares it; ``registry`` finds them.

May import: codecs, quantizers.
"""
