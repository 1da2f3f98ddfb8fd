"""Audio to train and measure on: corpora, manifests, excerpts, mixing, augmentation, the synthetic corpus.

``module`` is Lightning's data module; ``corpus`` finds the recordings, ``excerpts`` draws from them.

May import: benchmarks.evaluate, codecs, quantizers.
"""
