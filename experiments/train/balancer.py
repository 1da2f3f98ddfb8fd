"""EnCodec's loss balancer."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from codeclab.quantizers.distributed import all_reduce_mean, all_reduce_sum, world_size
from codeclab.quantizers.host_work import in_place, on_host, to_device

SMALLEST_NORM = 1e-12


class Balancer(nn.Module):
    """Combines the gradients of several losses at the decoder's output so that weights are shares (EnCodec eq. 5).

    ``sum_i R w_i / sum_j w_j * g_i / <|g_i|>``: the running means of the norms are bias-corrected, so that the first
    step uses its own norms, and are part of the state dict. A loss absent from a step keeps its mean.

    Every loss must be a mean over the batch. DDP averages gradients over processes after the backward pass, so that a
    process contributes its local gradient divided by the number of processes. The norms are those of this contribution,
    as one process would measure them on the global batch. The result is an ordinary local gradient, which DDP averages.
    Two processes are therefore equal to one with the doubled batch.

    Args:
        total_norm: norm ``R`` of the combined gradient if all gradients have the same direction, positive.
        decay: decay of the running means per call, in [0, 1).
        per_item: whether the norm is the mean over the norms of items; otherwise it is one norm over the whole batch.
        enabled: whether gradients are balanced; False combines ``sum_i w_i g_i`` and only measures the norms.

    Attributes:
        last_shares: each loss's running norm as a fraction of their sum, before weights; 0-d tensors, for logging.

    Raises:
        ValueError: ``decay`` is not in [0, 1), or ``total_norm`` is not positive.
    """

    def __init__(
        self, total_norm: float = 1.0, decay: float = 0.999, per_item: bool = True, enabled: bool = True
    ) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}; it should lie in [0, 1)")
        if total_norm <= 0:
            raise ValueError(f"total_norm is {total_norm}; it should be positive")
        self.total_norm = total_norm
        self.decay = decay
        self.per_item = per_item
        self.enabled = enabled
        self.last_shares: dict[str, Tensor] = {}
        self._totals: dict[str, Tensor] = {}
        self._counts: dict[str, float] = {}

    @torch.no_grad()
    def combine(self, gradients: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
        """One gradient from each loss's gradient; updates the running means.

        Args:
            gradients: gradient of each loss at the decoder's output, ``[B, C, N]``, by name of the loss.
            weights: weights by name, for at least these losses; the sum of weights is over these losses alone.

        Returns:
            the combined gradient ``[B, C, N]``, float32.

        Raises:
            ValueError: there is no gradient, a weight is missing or negative, or all weights are zero.
        """
        _check(gradients, weights)
        stacked = torch.stack([gradient.float() for gradient in gradients.values()])
        norms = self._update(list(gradients), self._norms(stacked))
        self.last_shares = dict(zip(gradients, norms / norms.sum().clamp(min=SMALLEST_NORM), strict=True))
        chosen = [weights[name] for name in gradients]
        factor = self.total_norm / sum(chosen) if self.enabled else 1.0
        scales = to_device(lambda: torch.tensor([factor * weight for weight in chosen]), norms.device)
        if self.enabled:
            scales = scales / (norms + SMALLEST_NORM)
        return (scales[:, None, None, None] * stacked).sum(0)

    def _update(self, names: list[str], norms: Tensor) -> Tensor:
        """Update the running means with the norms of this step; returns the means in the order of ``names``."""
        before = [
            self._totals[name].to(norms.device) if name in self._totals else norms.new_zeros(()) for name in names
        ]
        totals = (self.decay * torch.stack(before) + norms).unbind()
        self._totals |= {
            name: in_place(self._totals.get(name), total) for name, total in zip(names, totals, strict=True)
        }
        on_host(partial(self._count, names))
        counts = to_device(lambda: torch.tensor([self._counts[name] for name in names]), norms.device)
        return torch.stack(totals) / counts

    def _count(self, names: list[str]) -> None:
        self._counts |= {name: self.decay * self._counts.get(name, 0.0) + 1 for name in names}

    def _norms(self, stacked: Tensor) -> Tensor:
        """Norm of each loss's gradient on the global batch, one collective for all of them, ``[L, B, C, N]``."""
        if self.per_item:
            return all_reduce_mean(stacked.flatten(2).norm(dim=2).mean(1)) / world_size()
        return all_reduce_sum(stacked.square().flatten(1).sum(1)).sqrt() / world_size()

    def get_extra_state(self) -> dict[str, Any]:
        """The running means, for ``state_dict``."""
        return {"totals": {name: float(total) for name, total in self._totals.items()}, "counts": dict(self._counts)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The running means from a ``state_dict``."""
        self._totals = {name: torch.tensor(total) for name, total in state["totals"].items()}
        self._counts = dict(state["counts"])


def _check(gradients: dict[str, Tensor], weights: dict[str, float]) -> None:
    if not gradients:
        raise ValueError("gradients is empty; give at least one")
    if missing := sorted(set(gradients) - set(weights)):
        raise ValueError(f"no weight for {', '.join(missing)}; weights are given for {', '.join(sorted(weights))}")
    chosen = {name: weights[name] for name in gradients}
    if min(chosen.values()) < 0 or sum(chosen.values()) <= 0:
        raise ValueError(f"weights are {chosen}; none should be negative and one should be positive")
