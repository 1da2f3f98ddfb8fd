"""Training and comparing codecs: the only folder that knows the trainer and the loggers.

From the bottom up, each folder importing only those before it: ``data``, ``train``, ``config``, ``tracking``, ``runs``,
``language_model``, ``listen``, ``runner``, ``cli``. ``recipes``, ``scales`` and ``tables`` hold only YAML.

May import: everything.
"""
