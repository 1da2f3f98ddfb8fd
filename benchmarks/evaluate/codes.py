"""Use of codebooks and bits by the codes of a test set, per domain and bitrate."""

import math
from collections.abc import Sequence

from pandas import DataFrame
from torch import Tensor

from codeclab.benchmarks.evaluate.evaluation import CODEBOOK_COLUMNS, TOGETHER
from codeclab.benchmarks.evaluate.statistics import ALL, domains_of
from codeclab.quantizers.usage import CodebookCounts

CODES_KBPS = "codes_kbps"
"""Column of a per-file table: what a clip cost, where the codec's bitrate is learnt, and of a baseline."""


def rates_spent(per_file: DataFrame) -> dict[float, float]:
    """Mean kbps that the codes of a test set cost, by the kbps that the codec offers; empty where the cost is fixed.

    Args:
        per_file: rows with ``bitrate_kbps``, ``seconds`` and, where it is not fixed, ``codes_kbps``.
    """
    if CODES_KBPS not in per_file:
        return {}
    spent = {}
    for offered in per_file["bitrate_kbps"].unique():
        group = per_file[per_file["bitrate_kbps"] == offered]
        spent[float(offered)] = float((group[CODES_KBPS] * group["seconds"]).sum() / group["seconds"].sum())
    return spent


class CodeStatistics:
    """Histograms of the codes of a test set, per domain and bitrate.

    Args:
        sizes: entries of each codebook, most significant first.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes)
        self._counts: dict[tuple[str, float], CodebookCounts] = {}
        self._clips: dict[tuple[str, float], int] = {}

    def update(self, domain: str, bitrate: float, segments: Sequence[Tensor]) -> None:
        """Count one clip's codes.

        Args:
            domain: the clip's domain.
            bitrate: bitrate in kbps.
            segments: codes ``int64 [B, K, T]``.
        """
        for key in ((name, bitrate) for name in domains_of(domain)):
            if key not in self._counts:
                self._counts[key] = CodebookCounts(self.sizes[: segments[0].shape[1]])
            self._clips[key] = self._clips.get(key, 0) + 1
            for codes in segments:
                self._counts[key].update(codes)

    def table(self) -> DataFrame:
        """One row per domain, bitrate and codebook, then one for all codebooks together.

        Bitrate efficiency is the sum of the first-order entropies over the sum of ``log2(size)`` (Improved RVQGAN,
        section 4.4); usage together is the mean share of entries used at least once.
        """
        rows = []
        for (domain, bitrate), counts in sorted(self._counts.items(), key=lambda item: (item[0][0] != ALL, item[0])):
            n = self._clips[domain, bitrate]
            sizes, usage, entropies = self.sizes, counts.usage().tolist(), counts.entropy().tolist()
            for k, (size, used, bits) in enumerate(zip(sizes, usage, entropies, strict=False), start=1):
                share = bits / math.log2(size) if size > 1 else math.nan
                rows.append((domain, bitrate, str(k), size, used, bits, share, n))
            mean_usage = sum(usage) / len(usage)
            size = sum(self.sizes[: len(usage)])
            rows.append((domain, bitrate, TOGETHER, size, mean_usage, sum(entropies), counts.bitrate_efficiency(), n))
        return DataFrame(rows, columns=CODEBOOK_COLUMNS)
