"""Quantizers of the package ``vector-quantize-pytorch``, stacked into residual stages."""

import inspect
from typing import Any, cast

import torch
from torch import Tensor, nn

from codeclab.quantizers.base import ABSENT, Quantized, Quantizer
from codeclab.quantizers.checks import (
    CodebookChoice,
    check_codes,
    check_latent,
    most_of_all_processes,
    nominal_bits,
    read_choice,
)
from codeclab.quantizers.precision import full_float32

LOOKUPS = {
    "VectorQuantize": "get_output_from_indices",
    "SimVQ": "indices_to_codes",
    "FSQ": "indices_to_codes",
    "LFQ": "indices_to_codes",
    "LatentQuantize": "indices_to_codes",
}
"""Supported classes, and the method of each that maps codes to a latent."""

CHANNELS_FIRST = ("LatentQuantize",)
SEVERAL_CODEBOOKS = ("heads", "num_codebooks")


class PackageVQ(Quantizer):
    """Residual stages of a quantizer of ``vector-quantize-pytorch`` (``pip install 'codeclab[vq]'``).

    As in the package's own ``Residual...`` classes, a stage quantizes the residual of the ones before, without their
    gradient. The quantized latent is the sum over stages and has the gradient of each. ``losses["auxiliary"]`` is the
    sum of the stages' losses with the weights among their arguments, each weighted by the share of items that use the
    stage; in eval mode, too, where the package computes it. A stage learns from every item, even from one with a
    smaller number of codebooks.

    The package draws from torch's global generator (k-means, replaced entries). With such arguments, a resumed run does
    not equal the uninterrupted one exactly.

    Args:
        dimension: channels ``D`` of the latent.
        n_codebooks: number of stages.
        name: class of the package, ``VectorQuantize``, ``SimVQ``, ``FSQ``, ``LFQ`` or ``LatentQuantize``.
        codebook_size: entries of each stage, for classes that take it.
        arguments: further arguments of the class, such as ``{"levels": [8, 5, 5, 5]}`` of FSQ.

    Raises:
        ValueError: the package is missing, it has no such class, or the class refuses the arguments.
    """

    def __init__(
        self,
        dimension: int = 128,
        n_codebooks: int = 1,
        name: str = "VectorQuantize",
        codebook_size: int = 1024,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if min(dimension, n_codebooks, codebook_size) < 1:
            raise ValueError(
                f"dimension {dimension}, n_codebooks {n_codebooks} and codebook_size {codebook_size} should be at "
                "least 1"
            )
        self.dimension = dimension
        self.n_codebooks = n_codebooks
        self.name = name
        self.codebook_size = codebook_size
        self.arguments = dict(arguments or {})
        part = _find(name)
        sizes = {"codebook_size": codebook_size} if "codebook_size" in inspect.signature(part).parameters else {}
        self.stages = nn.ModuleList(
            _build(part, {"dim": dimension} | sizes | self.arguments) for _ in range(n_codebooks)
        )

    @property
    def codebook_sizes(self) -> list[int]:
        """Entries of each stage, most significant first."""
        return [int(cast(int, stage.codebook_size)) for stage in self.stages]

    def forward(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Quantized:
        """Quantize ``latent [B, D, T]``; in training mode the package updates its stages.

        Args:
            latent: ``[B, D, T]``.
            n_codebooks: None (all), one number for the batch, or ``int64 [B]``, one per item.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        if self.training:
            choice = most_of_all_processes(choice, latent.device)
        with full_float32(latent.device):
            quantized, codes, loss = self._quantize(latent.float(), choice)
        bits = nominal_bits(choice, self.codebook_sizes, latent.shape[0], latent.device)
        return Quantized(quantized, codes, {"auxiliary": loss}, bits)

    @torch.no_grad()
    def encode(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Tensor:
        """Codes ``int64 [B, K, T]`` of ``latent [B, D, T]``; updates nothing.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        training = self.training
        self.eval()
        try:
            with full_float32(latent.device):
                return self._quantize(latent.float(), choice)[1]
        finally:
            self.train(training)

    def decode(self, codes: Tensor) -> Tensor:
        """The sum of the chosen entries, ``[B, D, T]``, of codes ``int64 [B, K, T]``; ``ABSENT`` adds nothing.

        Raises:
            ValueError: there are too many codebooks, or codes are out of range.
        """
        check_codes(codes, self.codebook_sizes)
        total = torch.zeros(codes.shape[0], self.dimension, codes.shape[2], device=codes.device)
        with full_float32(codes.device):
            for stage, chosen in zip(self.stages, codes.unbind(1), strict=False):
                entries = getattr(stage, LOOKUPS[self.name])(chosen.clamp(min=0))
                entries = entries if self._channels_first else entries.transpose(1, 2)
                total = total + entries * (chosen != ABSENT)[:, None]
        return total

    @property
    def _channels_first(self) -> bool:
        return self.name in CHANNELS_FIRST or bool(self.arguments.get("channel_first"))

    def _quantize(self, latent: Tensor, choice: CodebookChoice) -> tuple[Tensor, Tensor, Tensor]:
        residual, total, loss = latent, torch.zeros_like(latent), latent.new_zeros(())
        codes = []
        for index, stage in enumerate(self.stages[: choice.most]):
            given = residual if self._channels_first else residual.transpose(1, 2)
            # FSQ returns no loss, other classes a scalar or a vector of one element.
            output, chosen, *losses = stage(given)
            output = output if self._channels_first else output.transpose(1, 2)
            residual = residual - output.detach()
            mask = choice.mask(index, latent.device)
            share = latent.new_ones(())
            if mask is not None:
                output, chosen = output * mask[:, None, None], chosen.where(mask[:, None], ABSENT)
                share = mask.float().mean()
            total = total + output
            loss = loss + share * sum(part.sum() for part in losses)
            codes.append(chosen.long())
        return total, torch.stack(codes, dim=1), loss


def _find(name: str) -> type[nn.Module]:
    if name not in LOOKUPS:
        raise ValueError(
            f"name is {name!r}; the quantizers of vector-quantize-pytorch that fit are: {', '.join(LOOKUPS)} "
            "(for its Residual... classes, give one of these and n_codebooks)"
        )
    try:
        import vector_quantize_pytorch
    except ImportError as error:
        raise ValueError("PackageVQ needs vector-quantize-pytorch: pip install 'codeclab[vq]'") from error
    return cast(type[nn.Module], getattr(vector_quantize_pytorch, name))


def _build(part: type[nn.Module], arguments: dict[str, Any]) -> nn.Module:
    several = [argument for argument in SEVERAL_CODEBOOKS if arguments.get(argument, 1) != 1]
    if several:
        raise ValueError(
            f"{several[0]} is {arguments[several[0]]}; it should be 1: use n_codebooks for several codebooks"
        )
    try:
        return part(**arguments)
    except (TypeError, AssertionError, RuntimeError) as error:
        written = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise ValueError(f"vector-quantize-pytorch refuses {part.__name__}({written}): {error}") from error
