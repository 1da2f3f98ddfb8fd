"""Any quantizer of the package ``vector-quantize-pytorch``, stacked into residual stages."""

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
"""Those that make a latent of a latent, and the method that makes one of codes."""

CHANNELS_FIRST = ("LatentQuantize",)
SEVERAL = ("heads", "num_codebooks")


class PackageVQ(Quantizer):
    """Residual stages of a quantizer that ``vector-quantize-pytorch`` has (``pip install 'codeclab[vq]'``).

    As the package's own ``Residual...`` classes have it: a stage quantizes what the ones before left, without their
    gradient; the latent is the sum, and has the gradient of each. ``losses["auxiliary"]`` is the sum of what stages
    return, with the weights among their arguments, each by the share of items that use it; in eval mode too where the
    package gives it. Every item takes part in what a stage learns, also where its own number of codebooks is smaller.

    The package draws at random from torch's global generator (k-means, replaced entries): with such arguments a resumed
    run is not exactly the uninterrupted one.

    Args:
        dimension: channels ``D`` of the latent.
        n_codebooks: stages.
        name: ``VectorQuantize``, ``SimVQ``, ``FSQ``, ``LFQ`` or ``LatentQuantize``.
        codebook_size: entries of each stage, for those that take it.
        arguments: others of that class, as its documentation names them, such as ``{"levels": [8, 5, 5, 5]}`` of FSQ.

    Raises:
        ValueError: the package is missing, has no such quantizer of latents, or does not build it so.
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
                f"dimension {dimension}, n_codebooks {n_codebooks} and codebook_size {codebook_size} must be at least 1"
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
        """Quantize ``latent [B, D, T]``; in training mode the stages learn as the package has it.

        Args:
            latent: ``[B, D, T]``.
            n_codebooks: None (all), one number for the batch, or ``int64 [B]``, one per item.

        Raises:
            ValueError: wrong shape, or a number of codebooks this quantizer does not have.
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
        """Codes ``int64 [B, K, T]`` of ``latent [B, D, T]``, learning nothing.

        Raises:
            ValueError: wrong shape, or a number of codebooks this quantizer does not have.
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
            ValueError: too many codebooks, or codes out of range.
        """
        check_codes(codes, self.codebook_sizes)
        total = torch.zeros(codes.shape[0], self.dimension, codes.shape[2], device=codes.device)
        with full_float32(codes.device):
            for stage, chosen in zip(self.stages, codes.unbind(1), strict=False):
                found = getattr(stage, LOOKUPS[self.name])(chosen.clamp(min=0))
                entries = found if self._channels_first else found.transpose(1, 2)
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
            # FSQ gives no loss, others a number or a vector of one.
            found, chosen, *losses = stage(given)
            output = found if self._channels_first else found.transpose(1, 2)
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
            f"no quantizer of latents is called {name!r} in vector-quantize-pytorch; there are: {', '.join(LOOKUPS)} "
            "(its Residual... classes are what n_codebooks makes of these)"
        )
    try:
        import vector_quantize_pytorch
    except ImportError as error:
        raise ValueError("PackageVQ needs vector-quantize-pytorch: pip install 'codeclab[vq]'") from error
    return cast(type[nn.Module], getattr(vector_quantize_pytorch, name))


def _build(part: type[nn.Module], arguments: dict[str, Any]) -> nn.Module:
    several = [argument for argument in SEVERAL if arguments.get(argument, 1) != 1]
    if several:
        raise ValueError(f"{several[0]} is {arguments[several[0]]}; right is 1: several codebooks are n_codebooks here")
    try:
        return part(**arguments)
    except (TypeError, AssertionError, RuntimeError) as error:
        written = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise ValueError(f"vector-quantize-pytorch does not build {part.__name__}({written}): {error}") from error
