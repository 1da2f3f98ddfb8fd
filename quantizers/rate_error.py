"""The error of a bitrate, or number of codebooks, that a quantizer or codec does not offer."""


class RateError(ValueError):
    """A bitrate or number of codebooks that is not offered; the message lists those that are."""
