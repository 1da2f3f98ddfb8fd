"""A training batch: the LightningModule, its losses, how two players are updated, and what is logged of it.

``module`` is the whole, ``update`` the order of the two players, ``balancer`` the weights of losses, ``rate_sampling``
the bitrate of a batch, ``profiling`` where its time goes. A new reconstruction loss is a file in ``losses``.

May import: experiments.data, discriminators, benchmarks.metrics, codecs, quantizers.
"""
