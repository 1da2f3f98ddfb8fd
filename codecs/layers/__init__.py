"""What encoders, decoders and discriminators are made of: convolutions, activations, STFT, mel, initial weights.

Imports nothing of the other folders.
"""
