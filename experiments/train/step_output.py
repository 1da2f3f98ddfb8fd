"""What one batch of training gave, as ``training_step`` returns it and callbacks receive it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

OUTPUT = "output"
"""Lightning wants a mapping from a step: the key of the one thing in it."""


Scalar = TypeVar("Scalar", float, Tensor)


def in_order(
    losses: Mapping[str, Scalar], scores: Mapping[str, Scalar], norms: Mapping[str, Scalar], bitrate: Scalar | None
) -> dict[str, Scalar]:
    """All scalars of a batch by the names they are logged under, as they are computed where that matters.

    Of several that are not finite the first is the cause: a discriminator that steps first spoils what follows.
    """
    named = {f"{player}_grad_norm": norm for player, norm in norms.items()}
    first = {name: norm for name, norm in named.items() if name.startswith("discriminator")}
    spent = {} if bitrate is None else {"bitrate": bitrate}
    return {**losses, **first, **scores, **spent, **named}


@dataclass(frozen=True)
class StepOutput:
    """What one batch gave: numbers are means over the batch's parts and over processes.

    Attributes:
        losses: ``discriminator``, the generator's (``waveform``, ``spectral``, ``adversarial``, ``feature``) and the
            quantizer's, by name, as far as they were computed; before any weight.
        scores: the discriminators' mean logits on real and on fake audio, ``score_real`` and ``score_fake``.
        gradient_norms: of ``generator`` and ``discriminator``, as far as they learned, before clipping.
        learning_rates: of the same.
        bitrate: kbps that the batch's codes cost; None while only the discriminators learn.
        shares: each loss's share of the gradient at the decoder's output, 0-d tensors; empty without a balancer.
        codes: of the batch's last part on this process, ``int64 [B, K, T]``.
        sizes: entries of each codebook when the codes were made; a learnt bitrate has others after the step.
        n_items: in the batch, on this process.
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
        """All numbers by the names they are logged under."""
        return in_order(self.losses, self.scores, self.gradient_norms, self.bitrate)

    @classmethod
    def of(cls, outputs: Any) -> "StepOutput | None":
        """The output in what a callback's ``on_train_batch_end`` is given as ``outputs``.

        None where a subclass of the experiment has a ``training_step`` of its own that gives another.
        """
        output = outputs.get(OUTPUT) if isinstance(outputs, Mapping) else None
        return output if isinstance(output, cls) else None
