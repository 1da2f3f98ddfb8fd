"""Checks of the inputs of every distance between two signals."""

from torch import Tensor

from codeclab.quantizers.tensor_input import require_tensor


def check_pair(reference: Tensor, estimate: Tensor) -> None:
    """Refuse two signals that cannot be compared.

    Raises:
        ValueError: they are not both tensors ``[C, N]`` with the same channels and samples.
    """
    for name, signal in (("reference", reference), ("estimate", estimate)):
        require_tensor(signal, name, "[C, N]")
    if reference.ndim != 2 or reference.shape != estimate.shape or reference.shape[-1] == 0:
        raise ValueError(
            f"reference is {list(reference.shape)} and estimate {list(estimate.shape)}; both should be [C, N], alike"
        )


def is_silent(signal: Tensor) -> bool:
    """Whether a signal is constant, so that no metric is meaningful."""
    return bool((signal == signal[..., :1]).all())
