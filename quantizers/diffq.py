"""DiffQ on the latent: scalar quantization trained with noise, with a learnt number of bits per dimension."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from codeclab.quantizers.base import ABSENT, Quantized, Quantizer
from codeclab.quantizers.checks import check_codes, check_latent
from codeclab.quantizers.distributed import all_reduce_sum
from codeclab.quantizers.precision import full_float32
from codeclab.quantizers.randomness import uniform_like
from codeclab.quantizers.rate_error import RateError

MAX_BITS = 15.0
LIMIT = 3.0
STATISTICS_DECAY = 0.9


class DiffQ(Quantizer):
    """Pseudo quantization noise with learnt bits per latent dimension (EnCodec, A.2.1).

    Dimension ``i`` has ``B = 15 sigmoid(alpha v)`` bits. With ``m`` and ``s`` the mean and deviation of the dimension
    over batch and frames (constants for the gradient), ``L = 3`` and ``U`` uniform in [-1, 1], training gives eq. (6)
    with the paper's scaling for sparsity ::

        z_q = m + min(B, 1) (clamp(z, m - L s, m + L s) - m) + sqrt(min(B, 1)) L s U / 2^B

    In eval mode ``m`` and ``s`` are running averages (decay 0.9), eq. (7) indexes ``N = round(2^B)`` levels, and ::

        z_q = m + min(B, 1) L s (2 (i + 1/2) / N - 1)

    Signals are scaled about ``m`` in both modes; the paper does not specify eval mode. Both modes then agree as ``B``
    goes to 0, where ``z_q = m`` carries no information about ``z``. ``losses["rate"]`` is ``max(0, w -
    target_bitrate)`` in kbps with ``w = frame_rate sum_i B / 1000``. Its gradient is the paper's penalty above the
    target, and zero below.

    A code is one dimension's index, so there are ``dimension`` codebooks, all of them always in use.

    Args:
        dimension: channels ``D`` of the latent.
        target_bitrate: bitrate in kbps above which the rate is penalized.
        frame_rate: latent frames per second, Hz.
        initial_bits: bits of every dimension before training, in (0, 15).
        seed: seed of the noise.
        alpha: factor by which the bits learn faster than the weights, positive; 5 in the paper, for hundreds of
            thousands of batches.

    Raises:
        ValueError: ``initial_bits`` is outside (0, 15), or a target, a frame rate or an alpha is not positive.
    """

    learns_rate: ClassVar[bool] = True

    def __init__(
        self,
        dimension: int = 128,
        target_bitrate: float = 6.0,
        frame_rate: float = 75.0,
        initial_bits: float = 7.5,
        seed: int = 0,
        alpha: float = 5.0,
    ) -> None:
        super().__init__()
        if not 0 < initial_bits < MAX_BITS:
            raise ValueError(f"initial_bits is {initial_bits}; it should lie between 0 and {MAX_BITS:g}")
        if min(target_bitrate, frame_rate, alpha) <= 0:
            raise ValueError(
                f"target_bitrate {target_bitrate} kbps, frame_rate {frame_rate} Hz and alpha {alpha} should be positive"
            )
        self.dimension = dimension
        self.n_codebooks = dimension
        self.target_bitrate = target_bitrate
        self.frame_rate = frame_rate
        self.initial_bits = initial_bits
        self.seed = seed
        self.alpha = alpha
        share = initial_bits / MAX_BITS
        self.v = nn.Parameter(torch.full((dimension,), math.log(share / (1 - share)) / alpha))
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("variance", torch.ones(dimension))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    mean: Tensor
    variance: Tensor
    updates: Tensor

    @property
    def dimension_bits(self) -> Tensor:
        """Bits of each dimension, ``B = 15 sigmoid(alpha v)``, ``[D]``."""
        return MAX_BITS * torch.sigmoid(self.alpha * self.v.float())

    @property
    def codebook_sizes(self) -> list[int]:
        """Levels of each dimension, ``round(2^B)``."""
        return [int(size) for size in self._levels().tolist()]

    def check_n_codebooks(self, n_codebooks: int | None) -> int:
        """The number of codebooks, ``dimension``: the rate is learnt, not chosen.

        Raises:
            RateError: another number is requested.
        """
        if n_codebooks not in (None, self.dimension):
            raise RateError(
                f"n_codebooks is {n_codebooks}; DiffQ learns its bitrate and uses all {self.dimension}, always"
            )
        return self.dimension

    def forward(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Quantized:
        """Quantize ``latent [B, D, T]``: with noise in training mode, to levels in eval mode.

        Raises:
            ValueError: wrong shape, or a number of codebooks other than all.
        """
        check_latent(latent, self.dimension)
        self._check_choice(n_codebooks)
        with full_float32(latent.device):
            latent = latent.float()
            if self.training:
                mean, deviation = self._learn_statistics(latent)
                quantized = self._add_noise(latent, mean, deviation)
                bits = self.dimension_bits.sum()
            else:
                mean, deviation = self.mean, self.variance.sqrt()
                quantized = self._dequantize(self._index(latent, mean, deviation), mean, deviation)
                bits = self._levels().log2().sum()
            codes = self._index(latent, mean, deviation)
            kbps = self.dimension_bits.sum() * self.frame_rate / 1000
            rate = torch.clamp(kbps - self.target_bitrate, min=0)
        return Quantized(quantized, codes, {"rate": rate}, bits.expand(len(latent)))

    @torch.no_grad()
    def encode(self, latent: Tensor, n_codebooks: int | Tensor | None = None) -> Tensor:
        """Indices ``int64 [B, D, T]`` by the running statistics.

        Raises:
            ValueError: wrong shape, or a number of codebooks other than all.
        """
        check_latent(latent, self.dimension)
        self._check_choice(n_codebooks)
        with full_float32(latent.device):
            return self._index(latent.float(), self.mean, self.variance.sqrt())

    def decode(self, codes: Tensor) -> Tensor:
        """The levels' middles, ``[B, D, T]``, of codes ``int64 [B, D, T]``; an ``ABSENT`` one is the mean.

        Raises:
            ValueError: not one codebook per dimension, or codes out of range.
        """
        if not torch.compiler.is_exporting():  # a graph's levels are no numbers yet
            check_codes(codes, self.codebook_sizes)
        self.check_n_codebooks(codes.shape[1])
        return self._dequantize(codes, self.mean, self.variance.sqrt())

    def _check_choice(self, n_codebooks: int | Tensor | None) -> None:
        if isinstance(n_codebooks, Tensor):
            for count in set(n_codebooks.tolist()):
                self.check_n_codebooks(count)
        else:
            self.check_n_codebooks(n_codebooks)

    def _levels(self) -> Tensor:
        return self.dimension_bits.detach().exp2().round()

    def _sparsity(self) -> Tensor:
        return self.dimension_bits.clamp(max=1)[:, None]

    @torch.no_grad()
    def _learn_statistics(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation ``[D]`` of the batch over all processes, which also move the running ones."""
        count = latent.new_tensor([latent.shape[0] * latent.shape[2]])
        sums = all_reduce_sum(torch.cat([latent.sum((0, 2)), count]))
        mean = sums[:-1] / sums[-1]
        # The sum of squares about the mean takes a second reduction: E[x^2] - E[x]^2 would cancel where the mean is
        # large.
        variance = all_reduce_sum((latent - mean[:, None]).square().sum((0, 2))) / sums[-1]
        weight = torch.where(self.updates > 0, 1 - STATISTICS_DECAY, 1.0)
        self.mean.lerp_(mean, weight)
        self.variance.lerp_(variance, weight)
        return mean, variance.sqrt()

    def _add_noise(self, latent: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        centre, reach = mean[:, None], LIMIT * deviation[:, None]
        noise = uniform_like(latent, tuple(latent.shape[1:]), self.seed, int(self.updates)) * 2 - 1
        self.updates.add_(1)
        signal = torch.minimum(torch.maximum(latent - centre, -reach), reach)
        scale = self._sparsity()
        return centre + scale * signal + scale.sqrt() * reach * noise * (-self.dimension_bits[:, None]).exp2()

    @torch.no_grad()
    def _index(self, latent: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        levels = self._levels()[:, None]
        # A dimension that never varied has no deviation; all its values are the mean, hence the middle level.
        unit = (latent - mean[:, None]) / deviation[:, None].clamp(min=1e-12)
        position = ((LIMIT + unit) / (2 * LIMIT)).clamp(0, 1)
        return torch.minimum((levels * position).floor(), levels - 1).long()

    def _dequantize(self, codes: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        levels = self._levels()[:, None]
        offset = (2 * (codes + 0.5) / levels - 1) * (codes != ABSENT)
        return mean[:, None] + self._sparsity().detach() * LIMIT * deviation[:, None] * offset
