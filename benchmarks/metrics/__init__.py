"""Distances between two signals, ``[C, N]`` both, a file each; ``registry`` names them.

May import: codecs, quantizers.
"""
