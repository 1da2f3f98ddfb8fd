"""Both players' backward passes on a batch, part by part, and their output.

With several processes, DDP averages a gradient where a backward pass writes it to a parameter. Only ``Update.teach``
does that: the discriminators' loss once, and the generator's surrogate loss once, for each part of a batch. What
``torch.autograd.grad`` returns at the decoder's output stays local; the balancer's norms have a collective of their
own. Each process makes the same passes in the same order, as DDP and the collectives require. With several parts,
each pass averages the parameter's sum so far anew, and an average over processes stays one when it is averaged again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from codeclab.codecs.layers.shared_spectra import spectra_shared
from codeclab.experiments.train.balancer import Balancer
from codeclab.experiments.train.orders import Discriminators, meet_updated_discriminators, share_one_pass, two_pass_loss
from codeclab.experiments.train.player import Player
from codeclab.experiments.train.profiling import profile
from codeclab.experiments.train.settings import LossWeights
from codeclab.experiments.train.step_output import StepOutput
from codeclab.quantizers.base import Quantized

UpdateOrder = Literal["discriminator_first", "joint"]


@dataclass(frozen=True)
class CodecOutput:
    """What the codec made of one part of a batch.

    Attributes:
        real: the audio, ``[B, C, N]``.
        fake: its reconstruction, ``[B, C, N]``, float32.
        quantized: the quantizer's latent, codes, losses and bits.
        sizes: entries of each codebook when the codes were made.
        frame_rate: latent frames per second, Hz.
    """

    real: Tensor
    fake: Tensor
    quantized: Quantized
    sizes: list[int]
    frame_rate: float


@dataclass(frozen=True)
class MicroBatchOutput:
    """What one part of a batch gave; all scalars are 0-d tensors without gradient, on the device.

    Attributes:
        losses: losses by name, in the order they are computed.
        scores: the discriminators' mean logits.
        norms: gradient norms by player, as far as they have learned.
        bitrate: bitrate in kbps; None where only the discriminators learned.
        codes: codes of the part, ``int64 [B, K, T]``.
        sizes: number of entries of each codebook.
        shares: each loss's share of the gradient at the decoder's output; empty without a balancer.
    """

    losses: dict[str, Tensor]
    scores: dict[str, Tensor]
    norms: dict[str, Tensor]
    bitrate: Tensor | None
    codes: Tensor
    sizes: list[int]
    shares: dict[str, Tensor] = field(default_factory=dict)

    def figures(self) -> dict[str, Tensor]:
        """All scalars by their names in the logs, in the order of their computation.

        If several are not finite, the first is then the cause: an update of the discriminators affects all later ones.
        """
        norms = {f"{player}_grad_norm": norm for player, norm in self.norms.items()}
        first = {name: norm for name, norm in norms.items() if name.startswith("discriminator")}
        spent = {} if self.bitrate is None else {"bitrate": self.bitrate}
        return {**self.losses, **first, **self.scores, **spent, **norms}

    def finished(self, numbers: Mapping[str, float], learning_rates: Mapping[str, float], n_items: int) -> StepOutput:
        """The whole batch's output, from the mean of its parts.

        Args:
            numbers: the numbers of ``figures``, means over processes.
            learning_rates: learning rates by player.
            n_items: number of items of the batch on this process.
        """
        return StepOutput(
            numbers=numbers,
            loss_names=tuple(self.losses),
            score_names=tuple(self.scores),
            players=tuple(self.norms),
            learning_rates=learning_rates,
            codes=self.codes,
            sizes=self.sizes,
            n_items=n_items,
            shares=self.shares,
        )


def mean_of_parts(parts: list[tuple[float, MicroBatchOutput]]) -> MicroBatchOutput:
    """The parts of a batch as one, each with its share of the batch's items; codes are the last part's."""
    if len(parts) == 1:
        return parts[0][1]
    figures: dict[str, Tensor] = {}
    for share, part in parts:
        figures = {name: figures.get(name, 0) + share * value for name, value in part.figures().items()}
    last = parts[-1][1]
    return replace(
        last,
        losses={name: figures[name] for name in last.losses},
        scores={name: figures[name] for name in last.scores},
        norms={player: figures[f"{player}_grad_norm"] for player in last.norms},
        bitrate=figures.get("bitrate"),
    )


def scaled(tensor: Tensor, share: float) -> Tensor:
    """A tensor times a part's share of the batch's items; of a batch in one part, the tensor itself."""
    return tensor if share == 1 else tensor * share


@dataclass(frozen=True)
class Update:
    """Both players' backward passes on one part of a batch.

    Attributes:
        order: ``discriminator_first`` or ``joint``.
        weights: weight of each loss.
        balancer: balances the losses at the decoder's output; None weighs them as they are.
        output_losses: the reconstruction losses between ``fake`` and ``real``, both ``[B, C, N]``, by name.
        backward: the backward pass of a 0-d tensor; Lightning's, which knows of precision and of other processes.
    """

    order: UpdateOrder
    weights: LossWeights
    balancer: Balancer | None
    output_losses: Callable[[Tensor, Tensor], dict[str, Tensor]]
    backward: Callable[[Tensor], None]

    def discriminators_alone(
        self, coded: CodecOutput, discriminators: Discriminators, share: float
    ) -> MicroBatchOutput:
        """The discriminators learn from a part, a ``share`` of the batch, that the codec coded standing still."""
        loss, scores = two_pass_loss(discriminators, coded.real, coded.fake)
        self.teach(scaled(loss, share))
        losses = {"discriminator": loss.detach()}
        return MicroBatchOutput(losses, scores, {}, None, coded.quantized.codes, coded.sizes, self._shares())

    def both(
        self, coded: CodecOutput, discriminators: Discriminators | None, learner: Player | None, share: float
    ) -> MicroBatchOutput:
        """The generator learns, and the discriminators where they are to.

        With ``discriminator_first`` they step here, before the generator meets them; with ``joint`` after all parts.

        Args:
            coded: a part of the batch.
            discriminators: the ensemble that judges it; None without discriminators.
            learner: the discriminators as a player; None where they do not learn from this batch.
            share: the part's share of the batch's items.
        """
        real, fake, quantized = coded.real, coded.fake, coded.quantized
        norms: dict[str, Tensor] = {}
        scores: dict[str, Tensor] = {}
        discriminator_loss = None
        # The losses see a leaf in place of the decoder's output: each one's gradient there is known before any goes
        # back through the codec, which then happens once, for their combination.
        leaf = fake.detach().requires_grad_()
        with spectra_shared():  # by both meetings with the discriminators, and by the losses
            if discriminators is not None and learner is not None and self.order == "discriminator_first":
                # No share: in this order a batch has one part (``check_arguments``), because of the step within it.
                discriminator_loss, scores = two_pass_loss(discriminators, real, fake)
                self.teach(discriminator_loss)
                norms["discriminator"] = learner.clip()
                learner.step()
            output_losses = self.output_losses(leaf, real)
            if discriminators is not None and self.order == "discriminator_first":
                output_losses |= meet_updated_discriminators(discriminators, real, leaf)
            elif discriminators is not None:
                judged, discriminator_loss, scores = share_one_pass(discriminators, real, leaf, learner is not None)
                output_losses |= judged
        gradient = self._output_gradient(leaf, output_losses, share)
        if discriminator_loss is not None and self.order == "joint":
            self.teach(scaled(discriminator_loss, share))
        # The gradient of (fake * gradient).sum() at ``fake`` is ``gradient``: Lightning's backward pass takes a scalar.
        # The quantizer's losses depend on the latent, not on the output, and join here with plain weights.
        latent = [getattr(self.weights, name, 1.0) * share * loss for name, loss in quantized.losses.items()]
        self.teach(sum(latent, (fake * gradient).sum()))
        losses = {} if discriminator_loss is None else {"discriminator": discriminator_loss}
        losses |= output_losses | quantized.losses
        return MicroBatchOutput(
            losses={name: loss.detach() for name, loss in losses.items()},
            scores=scores,
            norms=norms,
            bitrate=quantized.bits.detach().mean() * (coded.frame_rate / 1000),
            codes=quantized.codes,
            sizes=coded.sizes,
            shares=self._shares(),
        )

    def _shares(self) -> dict[str, Tensor]:
        return {} if self.balancer is None else dict(self.balancer.last_shares)

    @profile("backward")
    def teach(self, loss: Tensor) -> None:
        """The backward pass of one player's loss, a 0-d tensor, in float32."""
        # Lightning runs the step under autocast, which would round the backward pass of float32 losses, too.
        with torch.autocast(loss.device.type, enabled=False):
            self.backward(loss)

    def _output_gradient(self, leaf: Tensor, losses: dict[str, Tensor], share: float) -> Tensor:
        """The combined gradient ``[B, C, N]`` of a part's losses at the decoder's output, ``leaf``.

        The graphs are retained for the other losses and, in ``joint``, for the discriminators' loss, which goes back
        through the same passes afterwards.
        """
        weights = {name: getattr(self.weights, name) for name in losses}
        with torch.autocast(leaf.device.type, enabled=False):
            with profile("output gradients"):
                if self.balancer is None:
                    total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
                    return scaled(torch.autograd.grad(total, leaf, retain_graph=True)[0], share)
                one = leaf.new_ones(())  # which autograd would make anew for each loss
                gradients = {
                    name: torch.autograd.grad(loss, leaf, one, retain_graph=True)[0] for name, loss in losses.items()
                }
            with profile("balancer"):
                gradient = self.balancer.combine(gradients, weights)
        # A balanced gradient has a fixed norm per item, whatever the batch: parts of a batch add up unscaled.
        return gradient if self.balancer.enabled else scaled(gradient, share)
