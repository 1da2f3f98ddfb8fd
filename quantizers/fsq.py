"""Finite scalar quantization: a few dimensions, each rounded to a few levels, instead of a codebook."""

from collections.abc import Sequence
from math import prod
from typing import Literal, cast

import torch
from torch import Tensor, nn

from codeclab.quantizers.base import ABSENT, Quantized, Quantizer
from codeclab.quantizers.checks import CodebookChoice, check_codes, check_latent, nominal_bits, read_choice
from codeclab.quantizers.distributed import all_gather_batch
from codeclab.quantizers.finite_scalar import LevelGrid, NestedGrid, ScalarGrid, check_levels, pack, unpack
from codeclab.quantizers.gradient import straight_through
from codeclab.quantizers.precision import full_float32

NORMAL_TO_UNIFORM = 0.8
"""``tanh(0.8 x)`` of a normal variable is almost uniform, so that all levels are chosen about equally often."""


class ScalarProjection(nn.Module):
    """Linear projections from the channels of a latent to the dimensions that are rounded, and back.

    Args:
        channels: channels of the latent, or of one group of them.
        dimensions: number of rounded dimensions.
        identity: whether there are no projections; channels and dimensions are then equal.
    """

    def __init__(self, channels: int, dimensions: int, identity: bool) -> None:
        super().__init__()
        self.in_proj = nn.Identity() if identity else nn.Conv1d(channels, dimensions, 1)
        self.out_proj = nn.Identity() if identity else nn.Conv1d(dimensions, channels, 1)

    @torch.no_grad()
    def start_inward(self, vectors: Tensor) -> None:
        """Project on the leading principal axes of ``vectors [1, C, N]``, of deviation 0.8 each.

        With fewer channels than dimensions, the remaining dimensions keep their random weights.
        """
        if isinstance(self.in_proj, nn.Identity):
            return
        mean = vectors.mean(2)[0]
        spread = vectors[0] - mean[:, None]
        variances, axes = torch.linalg.eigh(spread @ spread.T / spread.shape[1])
        dimensions = min(len(axes), self.in_proj.out_channels)
        leading = axes.flip(1)[:, :dimensions].T
        deviations = variances.flip(0)[:dimensions].clamp(min=float(variances[-1]) * 1e-8 + 1e-12).sqrt()
        self.in_proj.weight[:dimensions, :, 0] = NORMAL_TO_UNIFORM * leading / deviations[:, None]
        cast(Tensor, self.in_proj.bias).copy_(-self.in_proj.weight[..., 0] @ mean)

    @torch.no_grad()
    def start_outward(self, vectors: Tensor, rounded: Tensor) -> None:
        """Fit the projection from ``rounded [1, d, N]`` values back to ``vectors [1, C, N]`` by least squares."""
        if isinstance(self.out_proj, nn.Identity):
            return
        mean, centre = vectors.mean(2)[0], rounded.mean(2)[0]
        inputs, targets = rounded[0] - centre[:, None], vectors[0] - mean[:, None]
        ridge = 1e-6 * inputs.shape[1] * torch.eye(len(inputs), device=inputs.device)
        weight = torch.linalg.solve(inputs @ inputs.T + ridge, inputs @ targets.T).T
        self.out_proj.weight[..., 0] = weight
        cast(Tensor, self.out_proj.bias).copy_(mean - weight @ centre)


class FSQ(Quantizer):
    """Finite scalar quantization (Mentzer et al. 2023, "VQ-VAE made simple", Section 3).

    The latent is projected to ``d = len(levels)`` dimensions; dimension ``i`` is bounded and rounded to ``levels[i]``
    values between -1 and 1, with a straight-through gradient, and projected back. A frame's code is the number whose
    digits are the levels. There is no codebook, so there are no losses and nothing to collapse.

    The channels are cut into ``groups``, each quantized on its own. Where there are more codebooks than groups, they
    are stages that code the residual; codebook ``c`` is stage ``c // groups`` of group ``c % groups``::

        projected   each stage projects the residual of the ones before, r_(i+1) = r_i - W_out q(W_in r_i), and rounds
        it by
                    the paper's grid; as in FactorizedVQ, a stage also receives the gradient of those after it
        nested      one projection a group, whose intervals each stage subdivides (``NestedGrid``); the gradient
                    passes straight through once, over the total. The published ``ResidualFSQ`` adds one per stage.

    Stages beyond an item's number of codebooks add nothing, and their codes are ``ABSENT``. One codebook and ``d``
    channels, or nested stages of ``d`` channels a group, are rounded without projections.

    Args:
        dimension: channels ``D`` of the latent.
        n_codebooks: number of codes per frame, a multiple of ``groups``.
        levels: number of values of each rounded dimension; [8, 5, 5, 5] gives 1000 codes.
        groups: number of groups that the channels are cut into.
        residual: method by which a stage codes the residual, ``projected`` or ``nested``.
        pca_init: whether the first training batch, or ``start_from``, initializes the projections: on principal axes,
            scaled to use every level, and back by least squares; otherwise they are random.

    Raises:
        ValueError: there are too few levels, or groups do not divide channels and codebooks.
    """

    started: Tensor

    codes_are_nested = True

    def __init__(
        self,
        dimension: int = 128,
        n_codebooks: int = 1,
        levels: Sequence[int] = (8, 5, 5, 5),
        groups: int = 1,
        residual: Literal["projected", "nested"] = "projected",
        pca_init: bool = False,
    ) -> None:
        super().__init__()
        if min(dimension, n_codebooks, groups) < 1 or dimension % groups or n_codebooks % groups:
            raise ValueError(
                f"dimension {dimension}, n_codebooks {n_codebooks} and groups {groups} do not fit; "
                "groups should divide the other two; 1 always does"
            )
        if residual not in ("projected", "nested"):
            raise ValueError(f'residual is "{residual}"; it should be "projected" or "nested"')
        self.nested = residual == "nested"
        stages = n_codebooks // groups
        check_levels(levels, stages, self.nested)
        self.dimension = dimension
        self.n_codebooks = n_codebooks
        self.levels = list(levels)
        self.groups = groups
        self.residual = residual
        self.pca_init = pca_init
        self.grid: ScalarGrid = (NestedGrid if self.nested else LevelGrid)(levels)
        width = dimension // groups
        identity = width == len(levels) and (self.nested or stages == 1)
        count = groups if self.nested else n_codebooks
        self.projections = nn.ModuleList(ScalarProjection(width, len(levels), identity) for _ in range(count))
        if pca_init:
            self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self._start_is_due = pca_init  # a host copy, because reading the buffer would synchronize with the GPU

    @property
    def codebook_sizes(self) -> list[int]:
        """Codes of each codebook: the product of the levels."""
        return [prod(self.levels)] * self.n_codebooks

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
            latent = latent.float()
            if self.training and self._start_is_due:
                self.start_from(latent.transpose(1, 2).flatten(0, 1), latent.shape[0] * latent.shape[2])
            quantized, codes = (self._nest if self.nested else self._project)(latent, choice)
        bits = nominal_bits(choice, self.codebook_sizes, latent.shape[0], latent.device)
        return Quantized(quantized, codes, {}, bits)

    @torch.no_grad()
    def encode(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Tensor:
        """Codes ``int64 [B, K, T]`` of ``latent [B, D, T]``; updates nothing.

        Raises:
            ValueError: the shape is wrong, or the quantizer does not have so many codebooks.
        """
        check_latent(latent, self.dimension)
        choice = read_choice(n_codebooks, self.n_codebooks, latent.shape[0])
        with full_float32(latent.device):
            return (self._nest if self.nested else self._project)(latent.float(), choice)[1]

    def decode(self, codes: Tensor) -> Tensor:
        """The latent ``[B, D, T]`` of codes ``int64 [B, K, T]``; ``ABSENT`` adds nothing.

        Raises:
            ValueError: there are too many codebooks, or codes are out of range.
        """
        check_codes(codes, self.codebook_sizes)
        shape = (codes.shape[0], self.dimension // self.groups, codes.shape[2])
        parts = [torch.zeros(shape, device=codes.device) for _ in range(self.groups)]
        with full_float32(codes.device):
            for group in range(min(self.groups, codes.shape[1])):
                stages = codes[:, group :: self.groups]
                present = (stages != ABSENT)[:, :, None]
                values = [
                    self.grid.values(unpack(stages[:, stage].clamp(min=0), self.grid.levels), stage) * present[:, stage]
                    for stage in range(stages.shape[1])
                ]
                if self.nested:
                    parts[group] = self._projection(group).out_proj(torch.stack(values).sum(0)) * present[:, 0]
                    continue
                for stage, value in enumerate(values):
                    projection = self._projection(stage * self.groups + group)
                    parts[group] = parts[group] + projection.out_proj(value) * present[:, stage]
        return torch.cat(parts, dim=1)

    def _project(self, latent: Tensor, choice: CodebookChoice) -> tuple[Tensor, Tensor]:
        left = list(latent.chunk(self.groups, dim=1))
        totals = [torch.zeros_like(part) for part in left]
        codes = []
        for index in range(choice.most):
            group, projection = index % self.groups, self._projection(index)
            rounded, levels = self._round(projection.in_proj(left[group]))
            output = projection.out_proj(rounded)
            left[group] = left[group] - output
            code, mask = pack(levels, self.grid.levels), choice.mask(index, latent.device)
            if mask is not None:
                output, code = output * mask[:, None, None], code.where(mask[:, None], ABSENT)
            totals[group] = totals[group] + output
            codes.append(code)
        return torch.cat(totals, dim=1), torch.stack(codes, dim=1)

    def _nest(self, latent: Tensor, choice: CodebookChoice) -> tuple[Tensor, Tensor]:
        bounded = [
            self.grid.bound(self._projection(group).in_proj(part))
            for group, part in enumerate(latent.chunk(self.groups, dim=1))
        ]
        left = [part.detach() for part in bounded]
        totals = [torch.zeros_like(part) for part in left]
        codes = []
        for index in range(choice.most):
            stage, group = divmod(index, self.groups)
            levels = self.grid.nearest(left[group], stage)
            values = self.grid.values(levels, stage)
            left[group] = left[group] - values
            code, mask = pack(levels, self.grid.levels), choice.mask(index, latent.device)
            if mask is not None:
                values, code = values * mask[:, None, None], code.where(mask[:, None], ABSENT)
            totals[group] = totals[group] + values
            codes.append(code)
        outputs = []
        for group, (total, part) in enumerate(zip(totals, bounded, strict=True)):
            output = self._projection(group).out_proj(straight_through(part, total))
            present = choice.counts(latent.shape[0], latent.device) > group
            outputs.append(output * present[:, None, None])
        return torch.cat(outputs, dim=1), torch.stack(codes, dim=1)

    def _round(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        bounded = self.grid.bound(projected)
        levels = self.grid.nearest(bounded.detach(), 0)
        return straight_through(bounded, self.grid.values(levels, 0)), levels

    def why_not_recorded(self, per_item: bool) -> str | None:
        """None: a training step with it can be recorded."""
        return None

    @torch.no_grad()
    def start_from(self, frames: Tensor, batch_frames: int) -> None:
        """Initialize every projection from the residual of those before it, of ``frames [N, D]`` of all processes."""
        self._start_is_due = False
        if not self.pca_init or self.started:
            return
        with full_float32(frames.device):
            self._fit(all_gather_batch(frames.float()).T[None])
        self.started.fill_(True)

    def _fit(self, vectors: Tensor) -> None:
        parts = list(vectors.chunk(self.groups, dim=1))
        for index in range(len(self.projections)):
            group, projection = index % self.groups, self._projection(index)
            projection.start_inward(parts[group])
            projected = projection.in_proj(parts[group])
            # All nested stages together reproduce the bounded values almost exactly, so these are the rounded ones
            # here.
            rounded = self.grid.bound(projected) if self.nested else self._round(projected)[0]
            projection.start_outward(parts[group], rounded)
            parts[group] = parts[group] - projection.out_proj(rounded)

    def _projection(self, index: int) -> ScalarProjection:
        return cast(ScalarProjection, self.projections[index])
