"""Layers of encoders, decoders and discriminators: convolutions, activations, STFT, mel, initial weights, streams.

Imports nothing of the other folders.
"""
