"""Every way from a latent to codes and back: residual, factorized, differentiable-rate and Gumbel-softmax.

``base.py`` says what a quantizer promises; a new one is a file beside it. Shared pieces: ``kmeans``, ``ema_codebook``,
``usage`` (statistics of codes), ``tensor_input``, ``distributed``, ``precision``, ``randomness``, ``checks``.

Imports nothing of the other folders.
"""
