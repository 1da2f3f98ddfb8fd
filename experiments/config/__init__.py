"""Turns recipes, scales and flags into parts, with errors that say what would work.

May import: experiments.train and experiments.data (whose parts a config names), codecs, quantizers.
"""
