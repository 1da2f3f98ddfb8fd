"""Errors of metrics."""


class MetricError(ValueError):
    """A metric is not defined for these signals; the message is the reason shown in the results."""


class MetricMissingError(ValueError):
    """A metric's package or weights are not on this machine; the message says how to get them."""
