"""Every discriminator, and the adversarial and feature-matching losses.

``base.py`` says what a discriminator promises, ``ensemble.py`` judges with several; a new one is a file beside them.

May import: codecs (its layers), quantizers.
"""
