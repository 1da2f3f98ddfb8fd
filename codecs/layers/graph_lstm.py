"""An LSTM as one operator of an exported graph. Without it, ``torch.export`` unrolls the LSTM over its time steps."""

import torch
from torch import Tensor, nn


@torch.library.custom_op("codeclab::lstm", mutates_args=())
def lstm_operator(
    steps: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """``aten::lstm.input``, with its arguments."""
    return torch.lstm(steps, state, weights, has_biases, num_layers, dropout, train, bidirectional, batch_first)


@lstm_operator.register_fake
def _shapes(steps: Tensor, state: list[Tensor], *_: object) -> tuple[Tensor, Tensor, Tensor]:
    output = steps.new_empty(*steps.shape[:2], state[0].shape[-1])
    return output, torch.empty_like(state[0]), torch.empty_like(state[1])


LSTM = torch.ops.codeclab.lstm.default
"""The operator in a graph."""


def lstm_in_graph(lstm: nn.LSTM, steps: Tensor) -> Tensor:
    """The output ``[T, B, C']`` of a unidirectional LSTM, with a zero initial state, for ``steps [T, B, C]``."""
    start = steps.new_zeros(lstm.num_layers, steps.shape[1], lstm.hidden_size)
    arguments = lstm.bias, lstm.num_layers, 0.0, False, False, False
    output: Tensor = lstm_operator(steps, [start, start], lstm._flat_weights, *arguments)[0]
    return output
