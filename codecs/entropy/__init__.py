"""Codes as a stream of bytes: bit packing, EnCodec's arithmetic coder and language model, and the ``.ecdc`` container.

``many_files`` and ``file_coder`` code files and folders, ``live_coder`` raw PCM as it arrives.

May import: codecs.engines and all below it.
"""
