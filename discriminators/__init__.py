"""Every discriminator, and the adversarial and feature-matching losses.

``base.py`` states the contract of a discriminator. ``ensemble.py`` joins several. A new discriminator is a file beside
them.

May import: codecs, quantizers.
"""
