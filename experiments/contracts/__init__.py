"""What each kind of part promises, as tests that run over every part found, and over yours.

A contract is a class to subclass in a test file of your own: ``class TestMine(QuantizerContract): part = MyQuantizer``.
``pytest --codeclab-import my.py tests/test_contracts.py`` runs all of them over the suite's parts and those of a file.

May import: experiments.config, experiments.train, benchmarks, discriminators, codecs, quantizers.
"""
