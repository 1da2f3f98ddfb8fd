"""Distances between two signals, ``[C, N]`` both, a file each; ``registry`` names them.

May import: codecs.layers (STFT and mel), codecs (resampling, loudness, wording, files), quantizers.
"""
