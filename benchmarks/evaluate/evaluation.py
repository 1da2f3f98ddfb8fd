"""The results of an evaluation, and the folder that stores them."""

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.statistics import REQUESTED_KBPS, SUMMARY_COLUMNS, summarize
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.io.files import write_atomically

EARLIER_REQUESTED_KBPS = "asked_kbps"
"""``REQUESTED_KBPS`` in evaluations that were saved before it was called so."""

TOGETHER = "all"
"""Value of the column ``codebook`` for all codebooks together."""

SPENT_KBPS = "spent_kbps"
"""In ``info`` of a codec that cuts audio: pairs of nominal kbps and those spent, with overlaps and levels."""

CODEBOOK_COLUMNS = ["domain", "bitrate_kbps", "codebook", "size", "usage", "entropy_bits", "efficiency", "n"]


@dataclass
class Evaluation:
    """The scores of one codec on one set of clips.

    Args:
        per_file: one row per clip and bitrate: ``name, domain, seconds, bitrate_kbps, n_codebooks`` (not of a
            baseline), one column per metric (NaN where it failed) and ``failures`` ("metric: reason; ...").
        codebooks: per domain, bitrate and codebook (and ``"all"`` together): ``size`` in entries, ``usage`` (share of
            entries used at least once), ``entropy_bits`` (first order), ``efficiency`` (entropy over ``log2(size)``)
            and ``n`` clips.
        info: record of how it was made: versions, metrics, ViSQOL mapping, sample rate, device, codec identity; and
            ``sets``, of metrics of sets of clips: lists of domain, kbps, metric, figure, clips, and clips left out.
    """

    per_file: DataFrame
    codebooks: DataFrame
    info: dict[str, Any]

    @property
    def summary(self) -> DataFrame:
        """Means per domain, bitrate and metric, as ``summarize`` gives them, with the metrics of the codes added."""
        # One of a file of the user's that was not imported is unknown here, and its scores are in `per_file`.
        wanted = [METRICS[name] for name in self.info["metrics"] if name in METRICS and METRICS[name].of_codes]
        is_sum = self.codebooks["codebook"] == TOGETHER
        alone = self.codebooks[~is_sum]
        codebooks = dict(list(alone.groupby(["domain", "bitrate_kbps"])))
        rows = []
        for _, line in self.codebooks[is_sum].iterrows():
            group = line["domain"], line["bitrate_kbps"]
            scores = {metric.name: metric.score_of_codes(codebooks[group], line) for metric in wanted}
            rows += [(*group, name, score, float("nan"), line["n"], 0) for name, score in scores.items()]
        rows += [(*figure, float("nan"), n, failed) for *figure, n, failed in self.info.get("sets", [])]
        parts = [summarize(self.per_file), DataFrame(rows, columns=SUMMARY_COLUMNS)]
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)

    @property
    def requested(self) -> dict[float, float]:
        """The requested kbps by the used ones, for a baseline and a codec that cuts audio; else empty."""
        if SPENT_KBPS in self.info:
            return {spent: nominal for nominal, spent in self.info[SPENT_KBPS]}
        requested = self.info.get(REQUESTED_KBPS)
        return dict(zip(self.info["bitrates_kbps"], requested, strict=True)) if requested else {}

    @property
    def asked(self) -> dict[float, float]:
        """The former name of ``requested``."""
        warnings.warn("Evaluation.asked is now called requested", FutureWarning, stacklevel=2)
        return self.requested

    def as_spent(self) -> "Evaluation":
        """The same at the bitrates that were spent, where a codec cuts audio: EnCodec's "6 kbps" at 48 kHz are 6.09."""
        if SPENT_KBPS not in self.info:
            return self
        info = {name: value for name, value in self.info.items() if name != SPENT_KBPS}
        info["bitrates_kbps"] = [self.spent(rate) for rate in info["bitrates_kbps"]]
        info[REQUESTED_KBPS] = list(self.info["bitrates_kbps"])
        if "sets" in info:
            info["sets"] = [[domain, self.spent(rate), *rest] for domain, rate, *rest in info["sets"]]
        return Evaluation(self.at_spent(self.per_file), self.at_spent(self.codebooks), info)

    def at_spent(self, table: DataFrame) -> DataFrame:
        """A table with a column ``bitrate_kbps``, at the bitrates that were spent."""
        return table.assign(bitrate_kbps=table["bitrate_kbps"].map(self.spent))

    def spent(self, nominal: float) -> float:
        """The kbps spent at a nominal bitrate, which a file of figures may have rounded."""
        pairs = self.info.get(SPENT_KBPS, [])
        return next((float(spent) for rate, spent in pairs if math.isclose(rate, nominal)), float(nominal))

    def save(self, folder: Path | str) -> None:
        """Write ``per_file.csv``, ``codebooks.csv``, ``summary.csv`` and, last, ``evaluation.json``, each atomically.

        Args:
            folder: folder to write to; made if it is missing.
        """
        folder = Path(folder)
        tables = {"per_file": self.per_file, "codebooks": self.codebooks, "summary": self.summary}
        for name, table in tables.items():
            write_atomically(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
        write_atomically(folder / "evaluation.json", json.dumps(self.info, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path | str) -> "Evaluation":
        """Read what ``save`` wrote.

        Args:
            folder: folder that it was saved in.

        Raises:
            ValueError: a file of it is missing.
        """
        folder = Path(folder)
        missing = [f for f in ("per_file.csv", "codebooks.csv", "evaluation.json") if not (folder / f).is_file()]
        if missing:
            raise ValueError(f"{folder} holds no evaluation: {', '.join(missing)} missing")
        # "NA" or "nan" may be the name of a clip: only an empty cell is a missing number.
        text = {"name": str, "domain": str, "failures": str, "codebook": str}
        options: dict[str, Any] = {"keep_default_na": False, "na_values": {c: [""] for c in (*METRICS, "efficiency")}}
        per_file = pd.read_csv(folder / "per_file.csv", dtype=text, **options)
        info = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        return cls(
            per_file=per_file.rename(columns={EARLIER_REQUESTED_KBPS: REQUESTED_KBPS}),
            codebooks=pd.read_csv(folder / "codebooks.csv", dtype=text, **options),
            info={REQUESTED_KBPS if key == EARLIER_REQUESTED_KBPS else key: value for key, value in info.items()},
        )
