"""Training the language model over a codec's codes: extraction, sequences, the second LightningModule, its run.

The model itself and the coder that uses it lie in ``codecs/entropy``.

May import: experiments.runs and all below it.
"""
