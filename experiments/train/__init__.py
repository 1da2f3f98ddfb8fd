"""Training: the LightningModule, its losses, the updates of generator and discriminators, and the logs.

``module`` is the LightningModule, ``schedule`` decides who learns from a batch, ``update`` has its backward passes,
``orders`` the order of the two updates, ``balancer`` the weights of losses, ``average`` the average of weights,
``rate_sampling`` the bitrate of a batch, ``profiling`` the time of its parts, ``cuda_graphs`` the recorded step. A
new reconstruction loss is a file in ``losses``.

May import: experiments.data, benchmarks.evaluate, benchmarks.metrics, discriminators, codecs, quantizers.
"""
