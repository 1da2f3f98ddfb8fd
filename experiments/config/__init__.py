"""Turns recipes, scales and flags into parts, with errors that say what would work.

May import: experiments.train, experiments.data, codecs, quantizers.
"""
