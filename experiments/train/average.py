"""The exponential moving average of the generator's weights, which is deployed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from codeclab.quantizers.host_work import is_recorded, to_device


@torch.no_grad()
def move_average(average: nn.Module, trained: nn.Module, share: Callable[[], float]) -> None:
    """Move an average towards the weights of a network.

    Lightning's ``EMAWeightAveraging`` would not resume exactly: before the callback that saves, it ends a run with the
    average in place of the weights; after it, checkpoints lack the batch's update. It averages the discriminators, too.

    Args:
        average: copy of the network, whose parameters are the average.
        trained: network in training.
        share: share of the way, 0 to 1, in the present batch; 1 less the decay.
    """
    averaged: list[Tensor] = list(average.parameters())
    weights: list[Tensor] = list(trained.parameters())
    if is_recorded():
        on_device = to_device(lambda: torch.tensor(share()), weights[0].device)
        torch._foreach_lerp_(averaged, weights, [on_device] * len(weights))
    else:
        torch._foreach_lerp_(averaged, weights, share())
