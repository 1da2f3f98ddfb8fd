"""Layers of encoders, decoders and discriminators: convolutions, activations, STFT, mel, initial weights, streams.

May import: quantizers (matrix products), and nothing of the other folders.
"""
