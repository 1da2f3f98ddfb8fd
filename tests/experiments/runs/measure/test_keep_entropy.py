"""What entropy coders spend is added to what was measured before, and never mixed with other codes' figures."""

from pathlib import Path

import pandas as pd

from codeclab.benchmarks.evaluate.entropy import ENTROPY_COLUMNS, entropy_text
from codeclab.experiments.runs.measure.keep_entropy import keep_entropy

BASIS = {"of": "v1-a", "folder": "/audio", "split": "test"}


def lines(rate: float, n: int, kbps: float) -> pd.DataFrame:
    rows = [(domain, rate, coder, kbps, 0.0, 1.0 * n, n) for domain in ("noise", "all") for coder in ("none", "static")]
    return pd.DataFrame(rows, columns=ENTROPY_COLUMNS)


def stored(folder: Path) -> dict[tuple[str, float, str], tuple[int, float]]:
    table = pd.read_csv(folder / "entropy.csv")
    return {(r.domain, r.bitrate_kbps, r.coder): (r.n, r.kbps) for r in table.itertuples()}


def test_another_bitrate_is_added_and_of_one_the_figures_of_more_clips_stay(tmp_path: Path) -> None:
    assert keep_entropy(lines(12.0, 4, 11.0), BASIS, tmp_path)[1] == ""
    whole, said = keep_entropy(lines(4.0, 2, 3.5), BASIS, tmp_path)
    assert said == "added to what was measured before"
    assert list(whole["domain"]) == ["noise"] * 4 + ["all"] * 4
    assert list(whole["bitrate_kbps"]) == [4.0, 4.0, 12.0, 12.0] * 2
    assert len(entropy_text(whole).splitlines()) == 6
    keep_entropy(lines(12.0, 1, 9.0), BASIS, tmp_path)  # of fewer clips
    keep_entropy(lines(4.0, 2, 3.6), BASIS, tmp_path)  # of as many, later
    assert len(stored(tmp_path)) == 8
    assert set(stored(tmp_path).values()) == {(4, 11.0), (2, 3.6)}


def test_figures_of_another_model_or_split_are_moved_aside(tmp_path: Path) -> None:
    keep_entropy(lines(12.0, 4, 11.0), BASIS, tmp_path)
    _, said = keep_entropy(lines(4.0, 9, 3.5), BASIS | {"split": "all"}, tmp_path)
    (aside,) = tmp_path.glob("entropy-*.csv")
    assert said == f"the earlier figures are of other codes, audio or coders, and are now in {aside}"
    assert set(pd.read_csv(aside)["bitrate_kbps"]) == {12.0}
    assert {rate for _, rate, _ in stored(tmp_path)} == {4.0}


def test_what_an_older_version_wrote_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "entropy.csv").write_text(lines(12.0, 4, 11.0).to_csv(index=False))
    _, said = keep_entropy(lines(4.0, 9, 3.5), BASIS, tmp_path)
    assert "are now in" in said
    assert len(list(tmp_path.glob("entropy-*.csv"))) == 1
