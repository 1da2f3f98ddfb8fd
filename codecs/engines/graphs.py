"""Encoder, quantizer and decoder as graphs of ``torch.export``, for any number of items and of time steps."""

import warnings

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.io.weights import folded_copy
from codeclab.codecs.wording import first_line
from codeclab.quantizers.base import Quantizer

ITEMS, FRAMES = 2, 17
"""Sizes of the example with which a graph is traced; any numbers except 1 would do."""


class Quantize(nn.Module):
    """A quantizer's encoding, with a number of codebooks, as a module."""

    def __init__(self, quantizer: Quantizer, n_codebooks: int) -> None:
        super().__init__()
        self.quantizer, self.n_codebooks = quantizer, n_codebooks

    def forward(self, latent: Tensor) -> Tensor:
        """``[B, D, T]`` to codes ``int64 [B, K, T]``."""
        return self.quantizer.encode(latent, self.n_codebooks)


class Dequantize(nn.Module):
    """A quantizer's decoding as a module."""

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.quantizer = quantizer

    def forward(self, codes: Tensor) -> Tensor:
        """Codes ``int64 [B, K, T]`` to ``[B, D, T]``."""
        return self.quantizer.decode(codes)


def example_input(part: Encoder | Decoder) -> Tensor:
    """An example input of a part, ``[B, C, n]``."""
    if isinstance(part, Encoder):
        return torch.zeros(ITEMS, part.channels, FRAMES * part.hop_length - 1)
    return torch.zeros(ITEMS, part.dimension, FRAMES)


def make_graph(module: nn.Module, example: Tensor) -> ExportedProgram:
    """The graph of a module that takes one tensor ``[B, C, N]``, for any ``B`` and ``N``.

    Args:
        module: module to export, which is not modified; layers with a method ``exportable`` are replaced by its result.
        example: example input, with more than one item and time step.

    Raises:
        ValueError: the module cannot be exported; the message gives torch's reason.
    """
    plain = _plain(folded_copy(module))
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch warns about its own deprecated calls
            return torch.export.export(plain, (example,), dynamic_shapes=({0: Dim.DYNAMIC, 2: Dim.DYNAMIC},))
    except Exception as error:  # torch raises many kinds of errors, depending on the code in ``forward``
        part = module.quantizer if isinstance(module, (Quantize, Dequantize)) else module
        raise ValueError(f"{type(part).__name__} cannot be exported: {first_line(error)}") from error


def check_exportable(quantizer: Quantizer) -> None:
    """Refuse a quantizer that cannot be exported.

    Raises:
        ValueError: the quantizer draws codes at random.
    """
    if not quantizer.codes_each_frame_alone:
        raise ValueError(
            f"a graph cannot draw the codes of a whole recording at random, as {type(quantizer).__name__} does; "
            "use choice: argmax"
        )


def _plain(module: nn.Module) -> nn.Module:
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if callable(make := getattr(child, "exportable", None)):
                setattr(parent, name, make())
    return module
