"""The output of one batch of training, which ``training_step`` returns and callbacks receive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

OUTPUT = "output"
"""Key of the output in the mapping that Lightning expects from a step."""


@dataclass(frozen=True)
class StepOutput:
    """The output of one batch; numbers are means over the batch's parts and over processes.

    Attributes:
        numbers: all numbers by their names in the logs, in the order of their computation.
        loss_names: names of the losses among them.
        score_names: names of the discriminators' scores among them.
        players: players whose gradient norms are among them, before clipping: those that were updated.
        learning_rates: learning rates of ``generator`` and ``discriminator``.
        shares: each loss's share of the gradient at the decoder's output, 0-d tensors; empty without a balancer.
        codes: codes of the batch's last part on this process, ``int64 [B, K, T]``.
        sizes: entries of each codebook before the update; a learnt bitrate may change them.
        n_items: number of items of the batch on this process.
    """

    numbers: Mapping[str, float]
    loss_names: Sequence[str]
    score_names: Sequence[str]
    players: Sequence[str]
    learning_rates: Mapping[str, float]
    codes: Tensor
    sizes: list[int]
    n_items: int
    shares: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def losses(self) -> dict[str, float]:
        """Unweighted losses by name, as far as they were computed.

        They are ``discriminator``, the generator's (``waveform``, ``spectral``, ``adversarial``, ``feature``) and the
        quantizer's.
        """
        return {name: self.numbers[name] for name in self.loss_names}

    @property
    def scores(self) -> dict[str, float]:
        """The discriminators' mean logits on real and on fake audio, ``score_real`` and ``score_fake``."""
        return {name: self.numbers[name] for name in self.score_names}

    @property
    def gradient_norms(self) -> dict[str, float]:
        """Gradient norms before clipping, by player."""
        return {player: self.numbers[f"{player}_grad_norm"] for player in self.players}

    @property
    def bitrate(self) -> float | None:
        """Cost of the batch's codes, kbps; None while only the discriminators learn."""
        return self.numbers.get("bitrate")

    def figures(self) -> dict[str, float]:
        """All numbers by their names in the logs."""
        return dict(self.numbers)

    @classmethod
    def of(cls, outputs: Any) -> "StepOutput | None":
        """The output in the ``outputs`` of a callback's ``on_train_batch_end``.

        None if a subclass of the experiment overrides ``training_step`` and returns something else.
        """
        output = outputs.get(OUTPUT) if isinstance(outputs, Mapping) else None
        return output if isinstance(output, cls) else None
