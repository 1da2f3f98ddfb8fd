"""Codecs as files: reading and writing beside each other.

``folder`` is the suite's own format and the door to the others: ``encodec`` and ``dac`` (the authors' checkpoints, by
``published``), ``transformers`` and ``transformers_export``, ``hub``. ``parts`` looks parts up by short name,
``weights`` folds weight norm, ``torch_file`` reads without unpickling classes, ``files`` writes whole or not at all.

May import: codecs (its parts and layers), quantizers.
"""
