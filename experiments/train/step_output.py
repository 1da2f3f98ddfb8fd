"""The output of one batch of training, which ``training_step`` returns and callbacks receive."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

OUTPUT = "output"
"""Key of the output in the mapping that Lightning expects from a step."""


Scalar = TypeVar("Scalar", float, Tensor)


def in_order(
    losses: Mapping[str, Scalar], scores: Mapping[str, Scalar], norms: Mapping[str, Scalar], bitrate: Scalar | None
) -> dict[str, Scalar]:
    """All scalars of a batch by their names in the logs, in the order of their computation.

    If several are not finite, the first is then the cause: an update of the discriminators affects all later scalars.
    """
    named = {f"{player}_grad_norm": norm for player, norm in norms.items()}
    first = {name: norm for name, norm in named.items() if name.startswith("discriminator")}
    spent = {} if bitrate is None else {"bitrate": bitrate}
    return {**losses, **first, **scores, **spent, **named}


@dataclass(frozen=True)
class StepOutput:
    """The output of one batch; numbers are means over the batch's parts and over processes.

    Attributes:
        losses: unweighted losses by name, as far as they were computed: ``discriminator``, the generator's
            (``waveform``, ``spectral``, ``adversarial``, ``feature``) and the quantizer's.
        scores: the discriminators' mean logits on real and on fake audio, ``score_real`` and ``score_fake``.
        gradient_norms: gradient norms of ``generator`` and ``discriminator`` before clipping, if they were updated.
        learning_rates: learning rates of ``generator`` and ``discriminator``.
        bitrate: cost of the batch's codes, kbps; None while only the discriminators learn.
        shares: each loss's share of the gradient at the decoder's output, 0-d tensors; empty without a balancer.
        codes: codes of the batch's last part on this process, ``int64 [B, K, T]``.
        sizes: entries of each codebook before the update; a learnt bitrate may change them.
        n_items: number of items of the batch on this process.
    """

    losses: Mapping[str, float]
    scores: Mapping[str, float]
    gradient_norms: Mapping[str, float]
    learning_rates: Mapping[str, float]
    bitrate: float | None
    codes: Tensor
    sizes: list[int]
    n_items: int
    shares: Mapping[str, Tensor] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """All numbers by their names in the logs."""
        return in_order(self.losses, self.scores, self.gradient_norms, self.bitrate)

    @classmethod
    def of(cls, outputs: Any) -> "StepOutput | None":
        """The output in the ``outputs`` of a callback's ``on_train_batch_end``.

        None if a subclass of the experiment overrides ``training_step`` and returns something else.
        """
        output = outputs.get(OUTPUT) if isinstance(outputs, Mapping) else None
        return output if isinstance(output, cls) else None
