"""Stores the kbps of entropy coders in ``entropy.csv``, to which later measurements are added."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from codeclab.benchmarks.evaluate.adding import BASIS
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.io.locks import Lock
from codeclab.experiments.runs.folder import digest

NAME = "entropy"
KEYS = ["domain", "bitrate_kbps", "coder"]


def keep_entropy(measured: DataFrame, basis: dict[str, Any], folder: Path) -> tuple[DataFrame, str]:
    """Store the kbps of coders; of two lines on the same basis, that of more clips stays, or the later one.

    Figures of another basis, or of a version that kept none, are moved aside.

    Args:
        measured: bitrates of the coders, in kbps, as ``entropy_rates`` gives them.
        basis: properties that must be the same for all figures of one file.
        folder: folder of ``entropy.csv``, and of ``entropy.json`` with the basis.

    Returns:
        all lines that are stored, and a remark on the earlier ones.
    """
    table, record = folder / f"{NAME}.csv", folder / f"{NAME}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with Lock(folder.with_name(f".{folder.name}.lock")) as lock:
        lock.acquire(wait=True)
        remark = ""
        before = json.loads(record.read_text(encoding="utf-8"))[BASIS] if record.is_file() else None
        if table.is_file() and before != basis:
            aside = folder / f"{NAME}-{digest(before)}.csv"
            table.replace(aside)
            remark = f"the earlier figures are of other codes, audio or coders, and are now in {aside}"
        elif table.is_file():
            measured = _joined(pd.read_csv(table, dtype={"domain": str}, keep_default_na=False), measured)
            remark = "added to what was measured before"
        # First of what the figures will be: a kill between the two leaves none beside a basis that is not theirs.
        write_atomically(record, json.dumps({BASIS: basis}, indent=1) + "\n")
        write_atomically(table, measured.to_csv(index=False, lineterminator="\n"))
    return measured, remark


def _joined(before: DataFrame, measured: DataFrame) -> DataFrame:
    lines = pd.concat([before, measured], ignore_index=True)
    most = lines.loc[lines[::-1].groupby(KEYS, sort=False)["n"].idxmax()]
    coders = {name: position for position, name in enumerate(dict.fromkeys(lines["coder"]))}
    order = most.assign(last=most["domain"] == ALL, position=most["coder"].map(coders))
    order = order.sort_values(["last", "domain", "bitrate_kbps", "position"])
    return order[list(measured.columns)].reset_index(drop=True)
