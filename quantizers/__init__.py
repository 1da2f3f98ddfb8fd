"""Every way from a latent to codes and back: residual, factorized, finite scalar, and of a learnt rate.

``ResidualVQ`` is EnCodec's, ``FactorizedVQ`` DAC's, ``FSQ`` finite scalar quantization; ``DiffQ`` and ``GumbelSoftmax``
learn their rate; ``PackageVQ`` has the quantizers of ``vector-quantize-pytorch``.

``base.py`` states the contract of a quantizer; a new one is a file beside it. They share ``kmeans``, ``ema_codebook``,
``usage`` (statistics of codes), ``host_work`` (what a step takes from the host), ``tensor_input``, ``distributed``,
``precision``, ``randomness``, ``checks``.

May import: nothing of codeclab.
"""
