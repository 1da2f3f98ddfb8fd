"""Every way from a latent to codes and back: residual, factorized, differentiable-rate and Gumbel-softmax.

``base.py`` states the contract of a quantizer; a new one is a file beside it. They share ``kmeans``, ``ema_codebook``,
``usage`` (statistics of codes), ``host_work`` (what a step takes from the host), ``tensor_input``, ``distributed``,
``precision``, ``randomness``, ``checks``.

May import: nothing of codeclab.
"""
