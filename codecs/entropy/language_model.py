"""EnCodec's small Transformer over codes, which predicts those of a time step from earlier ones (EnCodec 3.3)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_PERIOD = 10000
"""Longest period of the position embedding's waves, time steps (per 2 pi)."""


@dataclass
class LanguageModelState:
    """The state of a language model between calls.

    Attributes:
        past: last inputs of each layer, ``[B, H, D]``, at most ``context`` time steps.
        position: index of the next time step, ``int64 [B]``.
    """

    past: list[Tensor]
    position: Tensor


class _Layer(nn.Module):
    """Attention over the past, then two linear layers; both branches are residual with a layer norm after the sum."""

    def __init__(self, dimension: int, n_heads: int, feedforward: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dimension, n_heads, batch_first=True)
        self.attention_norm = nn.LayerNorm(dimension)
        self.expand = nn.Linear(dimension, feedforward)
        self.contract = nn.Linear(feedforward, dimension)
        self.feedforward_norm = nn.LayerNorm(dimension)

    def forward(self, x: Tensor, keys: Tensor, masked: Tensor) -> Tensor:
        """``x [B, T, D]`` attends to ``keys [B, H + T, D]`` except where ``masked [T, H + T]``."""
        attended, _ = self.attention(x, keys, keys, attn_mask=masked, need_weights=False)
        x = self.attention_norm(x + attended)
        return self.feedforward_norm(x + self.contract(F.gelu(self.expand(x))))


class LanguageModel(nn.Module):
    """Probabilities of the codes of each time step, given all codebooks' codes of the steps before.

    The codebooks of one time step are predicted in parallel, as if they were independent. As in the released code, the
    input is normalized before the position is added, and every layer starts with one past step of zeros, which is
    attended to like any other. The output does not depend on how a sequence is split into calls.

    Args:
        n_codebooks: largest number of codebooks; with fewer, the first tables are used.
        codebook_size: entries of each codebook.
        dimension: channels ``D``, even, at least 4 and a multiple of ``n_heads``.
        n_layers: attention layers.
        n_heads: heads of each attention.
        feedforward: hidden channels of the feed-forward blocks.
        context: number of earlier time steps that each layer attends to; the paper's 3.5 s at 75 Hz.

    Raises:
        ValueError: a size is not positive, or ``dimension`` does not fit.
    """

    def __init__(
        self,
        n_codebooks: int = 32,
        codebook_size: int = 1024,
        dimension: int = 200,
        n_layers: int = 5,
        n_heads: int = 8,
        feedforward: int = 800,
        context: int = 262,
    ) -> None:
        super().__init__()
        if min(n_codebooks, codebook_size, n_layers, n_heads, feedforward, context) < 1:
            raise ValueError(
                "n_codebooks, codebook_size, n_layers, n_heads, feedforward and context should be positive"
            )
        if dimension < 4 or dimension % 2 or dimension % n_heads:
            raise ValueError(
                f"dimension is {dimension}; it should be even, at least 4 and a multiple of the {n_heads} heads"
            )
        self.n_codebooks = n_codebooks
        self.codebook_size = codebook_size
        self.dimension = dimension
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.feedforward = feedforward
        self.context = context
        self.embeddings = nn.ModuleList(nn.Embedding(codebook_size + 1, dimension) for _ in range(n_codebooks))
        self.input_norm = nn.LayerNorm(dimension)
        self.layers = nn.ModuleList(_Layer(dimension, n_heads, feedforward) for _ in range(n_layers))
        self.outputs = nn.ModuleList(nn.Linear(dimension, codebook_size) for _ in range(n_codebooks))

    def start(self, batch: int = 1, position: int | Tensor = 0) -> LanguageModelState:
        """The state before the first time step.

        Args:
            batch: number of items ``B``.
            position: first time step, one number or ``int64 [B]``; the paper draws it in training.
        """
        weight = self.input_norm.weight
        past = [weight.new_zeros(batch, 1, self.dimension) for _ in self.layers]
        return LanguageModelState(past, torch.as_tensor(position, device=weight.device).expand(batch))

    def forward(self, previous: Tensor, state: LanguageModelState | None = None) -> tuple[Tensor, LanguageModelState]:
        """Logits of some time steps.

        Args:
            previous: input ``int64 [B, K, T]``, 1 + the codes of the step before each step, and 0 before the first;
                ``shifted`` computes it from a whole sequence of codes.
            state: state after the steps before these; None for the first steps.

        Returns:
            logits ``[B, size, K, T]``, and the state after these steps.

        Raises:
            ValueError: there are more codebooks than the model has, or none.
        """
        if previous.ndim != 3 or not 1 <= previous.shape[1] <= self.n_codebooks:
            raise ValueError(f"codes should be [B, 1 to {self.n_codebooks}, T]; these are {list(previous.shape)}")
        state = self.start(previous.shape[0]) if state is None else state
        count, steps = previous.shape[1:]
        embedded = [table(previous[:, k]) for k, table in enumerate(self.embeddings[:count])]
        x = self.input_norm(torch.stack(embedded).sum(0)) + self._positions(state.position, steps)
        masked = self._masked(state.past[0].shape[1], steps, x.device)
        past = []
        for layer, before in zip(self.layers, state.past, strict=True):
            keys = torch.cat([before, x], dim=1)
            past.append(keys[:, -self.context :])
            x = layer(x, keys, masked)
        logits = torch.stack([output(x) for output in self.outputs[:count]], dim=1)
        return logits.permute(0, 3, 1, 2), LanguageModelState(past, state.position + steps)

    def probabilities(
        self, previous: Tensor, state: LanguageModelState | None = None
    ) -> tuple[Tensor, LanguageModelState]:
        """The output of ``forward`` as probabilities ``[B, size, K, T]``, in float32."""
        logits, state = self(previous, state)
        return logits.float().softmax(1), state

    def _positions(self, first: Tensor, steps: int) -> Tensor:
        """Embedding of ``steps`` time steps from ``first [B]`` on, ``[B, T, D]``: cosines, then sines."""
        half = self.dimension // 2
        times = first[:, None, None] + torch.arange(steps, device=first.device)[:, None]
        phases = times / MAX_PERIOD ** (torch.arange(half, device=first.device) / (half - 1))
        return torch.cat([phases.cos(), phases.sin()], dim=-1).to(self.input_norm.weight.dtype)

    def _masked(self, past: int, steps: int, device: torch.device) -> Tensor:
        """The attention mask ``[T, H + T]``: a step (row) ignores later steps and steps beyond the context."""
        age = torch.arange(past, past + steps, device=device)[:, None] - torch.arange(past + steps, device=device)
        return (age < 0) | (age > self.context)


def shifted(codes: Tensor) -> Tensor:
    """The input of ``LanguageModel`` for a whole sequence of codes: 1 + each code, delayed by one step, and 0 first.

    Args:
        codes: codes ``int64 [B, K, T]``.
    """
    return F.pad(codes[..., :-1] + 1, (1, 0))
