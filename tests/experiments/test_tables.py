from pathlib import Path

import pytest
import yaml

from codeclab.experiments.assemble import RecipeError, names
from codeclab.experiments.tables import TABLES, pick_bitrates, read_table

RATES = [1.5, 3.0, 6.0, 12.0, 24.0]


def written(folder: Path, **content: object) -> str:
    path = folder / "mine.yaml"
    path.write_text(
        yaml.safe_dump({"title": "Mine", "rows": [{"name": "a", "flags": "--config dac_44khz"}], **content})
    )
    return str(path)


@pytest.mark.parametrize("name", names(TABLES))
def test_every_table_of_the_suite_is_read(name: str) -> None:
    spec = read_table(name)
    assert spec.title
    assert spec.source
    assert len({row.name for row in spec.rows}) == len(spec.rows)


def test_the_rates_measured() -> None:
    assert pick_bitrates(RATES, None) == RATES
    assert pick_bitrates(RATES, 3) == [1.5, 6.0, 24.0]
    assert pick_bitrates(RATES, 1) == [24.0]
    assert pick_bitrates(RATES, 9) == RATES
    assert pick_bitrates([0.86, 7.75], [7.7, 3]) == [7.75]


def test_a_row_is_a_name_flags_and_published_figures(tmp_path: Path) -> None:
    rows = [{"name": "a b", "flags": "--model.x 'c d'", "published": {"si_snr": 6.67}, "bitrate": 6, "label": "6 kbps"}]
    spec = read_table(written(tmp_path, rows=rows, base="--config encodec_24khz"))
    (row,) = spec.rows
    assert row.flags == ["--config", "encodec_24khz", "--model.x", "c d"]
    assert row.published == {"si_snr": 6.67}
    assert (row.bitrate, row.label) == (6, "6 kbps")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rowz": []}, "a table has no rowz; it may have .*rows"),
        ({"rows": []}, "'rows' should list at least one row"),
        ({"rows": [{"flags": "--config dac_44khz"}]}, "a row has a 'name'"),
        ({"rows": [{"name": "a", "flag": "x"}]}, "a row has a 'name', 'flags'"),
        ({"metrics": ["mos"]}, "no metric mos; there are: .*visqol_audio"),
    ],
)
def test_mistakes_in_a_table_are_named(tmp_path: Path, content: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_table(written(tmp_path, **content))


def test_an_unknown_table_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="no table 'nope'; there are: .*demo"):
        read_table("nope")
