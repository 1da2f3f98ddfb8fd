"""From a recipe's and a user's words to parts: recipes, scales, flags, and errors that say what would work.

May import: experiments.train and experiments.data (whose parts a config names), codecs, quantizers.
"""
