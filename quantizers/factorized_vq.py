"""The quantizer of Improved RVQGAN (DAC): small normalized codebooks behind learnt projections."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codeclab.quantizers.base import ABSENT, Quantized, Quantizer
from codeclab.quantizers.checks import (
    CodebookChoice,
    check_codes,
    check_latent,
    most_of_all_processes,
    nominal_bits,
    read_choice,
)
from codeclab.quantizers.distributed import all_gather_batch
from codeclab.quantizers.factorized_codebook import FactorizedCodebook, search_tables
from codeclab.quantizers.gradient import PassThrough, check_pass_through, pass_through
from codeclab.quantizers.host_work import to_device
from codeclab.quantizers.precision import full_float32
from codeclab.quantizers.randomness import seeded_generator
from codeclab.quantizers.restart import restart_unused
from codeclab.quantizers.weight_norm import normed_weights


class FactorizedVQ(Quantizer):
    """Residual vector quantization with factorized, L2-normalized codes (Kumar et al. 2023, Section 3.2).

    Each stage projects the residual to ``codebook_dim`` channels, ``e = W_in r``, picks the entry ``q`` whose direction
    is nearest, and projects it back; codebooks and projections learn by gradient. The losses, summed over stages, are
    means over items, channels and frames ::

        losses["commitment"] = sum_c mean (e_c - sg[q_c])^2
        losses["codebook"]   = sum_c mean (sg[e_c] - q_c)^2

    They are computed in eval mode, too. The recipe weights them (the paper: 0.25 and 1). As in the released code, the
    straight-through step is in the low dimension, ``q`` has its stored length (only the search is normalized), and the
    residual is not detached, so that a stage also receives the gradient of those after it.

    Where each item has its own number of codebooks (the released code's quantizer dropout), stages beyond it add
    nothing to the latent and count as zero in the means over items. Their codes are ``ABSENT``; the released code
    lists what those stages would have chosen.

    Args:
        dimension: channels ``D`` of the latent.
        n_codebooks: number of stages.
        codebook_size: entries of each codebook.
        codebook_dim: length of an entry, one number for all stages or a list with one per stage.
        kmeans_init: whether the first training batch, or ``start_from``, initializes projections by PCA and entries by
            k-means; otherwise both are random, as released. Random ones need thousands of batches to reach the
            residuals.
        seed: seed of the clusters' seeds and of restarts.
        normalize: whether the search compares directions; otherwise Euclidean distances.
        gradient: gradient estimator of the lookup, "straight_through", as released, or "rotation" (Fifty et al. 2024).
        simvq: whether the codebook is fixed and one learnt matrix multiplies all its entries, so that they move
            together (Zhu et al. 2024, SimVQ, arXiv 2411.02038, Section 3.3); ``losses["codebook"]`` then trains the
            matrix.
        dead_threshold: vectors per batch below which an entry is replaced by one of them (``restart_unused``); 0, as
            released, never replaces any. An entry that starts far from the latents is otherwise never chosen and never
            learns.
        dead_share: share of the mean count below which an entry is replaced, where that is the lower limit.

    Raises:
        ValueError: a size is below 1, a list has another length than ``n_codebooks``, the gradient is unknown, or
            ``dead_threshold`` is positive with ``simvq``.
    """

    started: Tensor
    counts: Tensor
    updates: Tensor

    codes_are_nested = True

    def __init__(
        self,
        dimension: int = 1024,
        n_codebooks: int = 9,
        codebook_size: int = 1024,
        codebook_dim: int | list[int] = 8,
        kmeans_init: bool = False,
        seed: int = 0,
        normalize: bool = True,
        gradient: PassThrough = "straight_through",
        simvq: bool = False,
        dead_threshold: float = 0.0,
        dead_share: float = 0.5,
    ) -> None:
        super().__init__()
        dims = [codebook_dim] * n_codebooks if isinstance(codebook_dim, int) else list(codebook_dim)
        if len(dims) != n_codebooks:
            raise ValueError(
                f"codebook_dim lists {len(dims)} sizes; give one number, or {n_codebooks}, one per codebook"
            )
        if min(dimension, n_codebooks, codebook_size, *dims) < 1:
            raise ValueError(
                f"dimension {dimension}, n_codebooks {n_codebooks}, codebook_size {codebook_size} and "
                f"codebook_dim {codebook_dim} should all be at least 1"
            )
        check_pass_through(gradient)
        if simvq and dead_threshold > 0:
            raise ValueError(f"SimVQ keeps its codebook, so dead_threshold is 0 there, not {dead_threshold}")
        self.dimension = dimension
        self.n_codebooks = n_codebooks
        self.codebook_size = codebook_size
        self.codebook_dim = codebook_dim
        self.kmeans_init = kmeans_init
        self.seed = seed
        self.normalize = normalize
        self.gradient: PassThrough = gradient
        self.simvq = simvq
        self.dead_threshold = dead_threshold
        self.dead_share = dead_share
        if dead_threshold > 0:
            self.register_buffer("counts", torch.ones(n_codebooks, codebook_size))
            self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self._known_updates: int | None = None
        self.register_load_state_dict_post_hook(_forget_updates)
        if kmeans_init:
            self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self._start_is_due = kmeans_init  # a host copy, because reading the buffer would synchronize with the GPU
        self.stages = nn.ModuleList(FactorizedCodebook(dimension, codebook_size, dim, normalize, simvq) for dim in dims)

    @property
    def codebook_sizes(self) -> list[int]:
        """Entries of each codebook, most significant first."""
        return [self.codebook_size] * self.n_codebooks

    def forward(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Quantized:
        """Quantize ``latent [B, D, T]``.

        Args:
            latent: ``[B, D, T]``.
            n_codebooks: None (all), one number for the batch, or ``int64 [B]``, one per item.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        with full_float32(latent.device):
            if self.training and self._start_is_due:
                self.start_from(latent.transpose(1, 2).flatten(0, 1), latent.shape[0] * latent.shape[2])
            restarts = self.training and self.dead_threshold > 0
            if restarts:
                choice = most_of_all_processes(choice, latent.device)
            quantized, codes, projections, lookups = self._quantize(latent.float(), choice, restarts)
            losses = self._losses(projections, lookups, choice)
        bits = nominal_bits(choice, self.codebook_sizes, latent.shape[0], latent.device)
        return Quantized(quantized, codes, losses, bits)

    @torch.no_grad()
    def encode(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Tensor:
        """Codes ``int64 [B, K, T]`` of ``latent [B, D, T]``; updates nothing.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        with full_float32(latent.device):
            return self._quantize(latent.float(), choice, restarts=False)[1]

    def decode(self, codes: Tensor) -> Tensor:
        """The sum of the projected entries, ``[B, D, T]``, of codes ``int64 [B, K, T]``; ``ABSENT`` adds nothing.

        Raises:
            ValueError: there are too many codebooks, or codes are out of range.
        """
        check_codes(codes, self.codebook_sizes)
        with full_float32(codes.device):
            total = torch.zeros(codes.shape[0], self.dimension, codes.shape[2], device=codes.device)
            for stage, chosen in zip(self._first(codes.shape[1]), codes.unbind(1), strict=True):
                entries = stage.lookup(chosen.clamp(min=0))
                total = total + stage.out_proj(entries) * (chosen != ABSENT)[:, None]
            return total

    def why_not_recorded(self, per_item: bool) -> str | None:
        """Why a training step with it cannot be recorded; None without the replacement of dead entries."""
        if self.dead_threshold > 0:
            return "dead_threshold counts codes by an operation that waits for the device"
        return None

    @torch.no_grad()
    def start_from(self, frames: Tensor, batch_frames: int) -> None:
        """Initialize every stage from the residual of those before it, of ``frames [N, D]`` of all processes.

        All stages are initialized at once, whatever number of them this batch uses, so that every process joins the
        gathering.
        """
        self._start_is_due = False
        if not self.kmeans_init or self.started:
            return
        with full_float32(frames.device):
            self._cluster(all_gather_batch(frames.float()))

    def _cluster(self, residual: Tensor) -> None:
        for index, stage in enumerate(self._first(self.n_codebooks)):
            stage.start(residual, seeded_generator(self.seed, index))
            chosen = stage.search(stage.in_proj(residual.T[None]))
            residual = residual - stage.out_proj(stage.lookup(chosen))[0].T
        self.started.fill_(True)

    def _quantize(
        self, latent: Tensor, choice: CodebookChoice, restarts: bool
    ) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        """The quantized latent ``[B, D, T]``, codes ``[B, K, T]``, and each stage's projections and chosen entries."""
        residual = latent
        total = torch.zeros_like(latent)
        chosen: list[Tensor] = []
        projections: list[Tensor] = []
        lookups: list[Tensor] = []
        stages = self._first(choice.most)
        inward = normed_weights([stage.in_proj for stage in stages])
        outward = normed_weights([stage.out_proj for stage in stages])
        masks = choice.masks(latent.device)
        used = None if masks is None else masks.to(latent.dtype)[..., None, None]
        for index, (stage, table) in enumerate(zip(stages, search_tables(stages), strict=True)):
            projected = F.conv1d(residual, inward[index], stage.in_proj.bias)
            codes = stage.search(projected, table)
            entries = stage.lookup(codes)
            passed = pass_through(projected, entries, self.gradient, dim=1)
            output = F.conv1d(passed, outward[index], stage.out_proj.bias)
            if restarts:
                self._restart(index, projected, codes, choice.items_using(index, latent.device))
            residual = residual - output
            total = total + output if used is None else torch.addcmul(total, output, used[index])
            chosen.append(codes)
            projections.append(projected)
            lookups.append(entries)
        if restarts:
            self.updates.add_(1)
            self._known_updates = self._read_updates() + 1
        all_codes = torch.stack(chosen, dim=1)
        if masks is not None:
            all_codes = all_codes.where(masks.T[..., None], ABSENT)
        return total, all_codes, projections, lookups

    @staticmethod
    def _losses(projections: list[Tensor], lookups: list[Tensor], choice: CodebookChoice) -> dict[str, Tensor]:
        """The losses summed over stages, from each stage's projections and chosen entries, both ``[B, d, T]``."""
        projected, entries = torch.cat(projections, dim=1), torch.cat(lookups, dim=1)
        shapes = [(len(one), one.shape[1]) for one in lookups]

        def shares_on_host() -> Tensor:
            stages = torch.tensor([stage for stage, (_, width) in enumerate(shapes) for _ in range(width)])
            shares = torch.tensor([1 / (items * width) for items, width in shapes])[stages]
            return shares if choice.per_item is None else shares * (choice.per_item[:, None] > stages)

        shares = to_device(shares_on_host, projected.device)
        pairs = {"commitment": (projected, entries.detach()), "codebook": (entries, projected.detach())}
        return {name: ((x - y).square().mean(2) * shares).sum() for name, (x, y) in pairs.items()}

    @torch.no_grad()
    def _restart(self, index: int, projected: Tensor, chosen: Tensor, items: Tensor | None) -> None:
        """Replace dead entries of stage ``index`` by vectors of the ``items`` that use it."""
        if items is not None:
            projected, chosen = projected[items], chosen[items]
        vectors = projected.transpose(1, 2).flatten(0, 1)
        generator = seeded_generator(self.seed, index, self._read_updates())
        weight = self._first(index + 1)[-1].codebook.weight
        limits = (self.dead_threshold, self.dead_share)
        restart_unused(weight, self.counts[index], vectors, chosen.flatten(), *limits, generator)

    def _read_updates(self) -> int:
        """The number of updates so far; read from the device once, and again after weights were loaded."""
        if self._known_updates is None:
            self._known_updates = int(self.updates)
        return self._known_updates

    def _first(self, count: int) -> list[FactorizedCodebook]:
        return [cast(FactorizedCodebook, stage) for stage in self.stages[:count]]


def _forget_updates(quantizer: nn.Module, _: object) -> None:
    cast(FactorizedVQ, quantizer)._known_updates = None
