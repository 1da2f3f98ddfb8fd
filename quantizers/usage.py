"""Statistics of codebook usage: entropy, perplexity, share of entries, bitrate efficiency."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from codeclab.quantizers.base import ABSENT
from codeclab.quantizers.checks import check_codes
from codeclab.quantizers.distributed import all_reduce_sum


class CodebookCounts:
    """The number of times each entry of each codebook was chosen, summed over batches.

    With ``p`` the shares of a codebook's entries, entropy is ``-sum p log2 p`` bits, perplexity ``2^entropy`` (the
    number of equally frequent entries of that entropy), usage the share of entries chosen at least once. Measures of
    a codebook without codes are NaN.

    Args:
        sizes: entries of each codebook, most significant first.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes)
        self.histograms = torch.zeros(len(self.sizes), max(self.sizes), dtype=torch.int64)

    @torch.no_grad()
    def update(self, codes: Tensor) -> None:
        """Count ``codes int64 [B, K, T]``; ``ABSENT`` ones are not counted.

        Raises:
            ValueError: there are more codebooks than sizes, or codes are out of range.
        """
        check_codes(codes, self.sizes)
        width = self.histograms.shape[1]
        starts = torch.arange(codes.shape[1], device=codes.device)[:, None] * width
        flat = (codes + starts)[codes != ABSENT]
        counts = torch.bincount(flat, minlength=codes.shape[1] * width).view(codes.shape[1], width)
        self.histograms = self.histograms.to(codes.device)
        self.histograms[: codes.shape[1]] += counts

    def over_processes(self) -> "CodebookCounts":
        """The counts of all processes of a distributed run together; a collective operation."""
        total = CodebookCounts(self.sizes)
        total.histograms = all_reduce_sum(self.histograms).clone()
        return total

    def entropy(self) -> Tensor:
        """Bits per code of each codebook, ``float64 [K]``."""
        shares = self.histograms.double() / self.histograms.sum(1, keepdim=True)
        return -torch.xlogy(shares, shares).sum(1) / math.log(2)

    def perplexity(self) -> Tensor:
        """``2^entropy`` of each codebook, ``float64 [K]``."""
        return self.entropy().exp2()

    def usage(self) -> Tensor:
        """Share of each codebook's entries chosen at least once, ``float64 [K]``."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64, device=self.histograms.device)
        share = (self.histograms > 0).sum(1) / sizes
        return share.where(self.histograms.sum(1) > 0, math.nan)

    def bitrate_efficiency(self) -> float:
        """Sum of entropies over sum of ``log2(size)``, of the codebooks in use (Kumar et al. 2023, Section 4.4).

        1 where every entry of every codebook is equally frequent; NaN before any codes.
        """
        entropy = self.entropy()
        used = ~entropy.isnan()
        if not bool(used.any()):
            return math.nan
        nominal = torch.tensor(self.sizes, dtype=torch.float64, device=entropy.device).log2()
        return float(entropy[used].sum() / nominal[used].sum())


def codebook_statistics(codes: Tensor, sizes: Sequence[int]) -> dict[str, Tensor]:
    """``usage``, ``perplexity`` and ``entropy`` (bits) of each codebook in one batch, each ``float64 [K]``.

    In a distributed run they are those of the whole batch; a collective operation.

    Args:
        codes: codes ``int64 [B, K, T]``; ``ABSENT`` is not counted.
        sizes: entries of each codebook; codebooks after the last one in use, in any process, are left out.

    Raises:
        ValueError: there are more codebooks than sizes, or codes are out of range.
    """
    counts = CodebookCounts(sizes)
    counts.update(codes)
    counts = counts.over_processes()
    used = int((counts.histograms.sum(1) > 0).nonzero().max()) + 1
    statistics = {"usage": counts.usage(), "perplexity": counts.perplexity(), "entropy": counts.entropy()}
    return {name: per_codebook[:used] for name, per_codebook in statistics.items()}
