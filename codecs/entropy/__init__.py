"""Codes as a stream of bytes: bit packing, EnCodec's arithmetic coder and language model, and the ``.ecdc`` container.

May import: codecs (its parts, layers and io), quantizers.
"""
