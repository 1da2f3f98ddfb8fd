"""Training and comparing codecs: the only folder that knows the trainer and the loggers.

From the bottom up, each folder importing only those before it: ``data``, ``train``, ``config``, ``contracts``,
``tracking``, ``runs``, ``language_model``, ``listen``, ``runner``, ``cli``. ``library`` is the Python interface.
``recipes``, ``scales`` and ``tables`` hold only YAML.

May import: experiments.cli and all below it.
"""
