"""Layers of encoders, decoders and discriminators: convolutions, activations, STFT, mel, initial weights, streams.

May import: quantizers.
"""
