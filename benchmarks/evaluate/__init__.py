"""A codec measured on clips: quality, codes, speed, size.

``evaluate`` codes the clips, ``judge`` and ``scoring`` run the metrics, ``evaluation`` keeps the result, ``statistics``
makes means and intervals of it, ``codes`` and ``speed`` look at the codec itself.

May import: benchmarks.metrics, codecs, quantizers.
"""
