"""Reading and writing codecs as files.

``folder`` is the suite's own format and the entry to the others: ``encodec`` and ``dac`` (the authors' checkpoints, by
``published``), ``transformers`` and ``transformers_export``, ``hub``. ``parts`` looks parts up by short name,
``part_files`` lists the files that define parts, ``defined_classes`` reads the names of classes from source,
``weights`` folds weight norm, ``torch_file`` reads without unpickling classes, ``files`` writes atomically.

May import: codecs and all below it.
"""
