import re
from pathlib import Path

import pytest
import yaml

from codeclab.benchmarks.tables.row import RowResult
from codeclab.experiments.cli.listing import run
from codeclab.experiments.config.files import RecipeError, names
from codeclab.experiments.config.words import Words
from codeclab.experiments.runner.job import slug
from codeclab.experiments.runner.read import TABLES, read_table
from codeclab.experiments.runner.spec import words_at
from codeclab.experiments.runs.measure.evaluate import pick_bitrates

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
        (
            {"rows": [{"name": name, "flags": "--config dac_44khz"} for name in ("A+B", "A-B")]},
            "rows 'A\\+B' and 'A-B' differ in signs alone, and would share the folder a-b; rename one",
        ),
        ({"metrics": ["mos"]}, "no metric mos.*; there are: .*visqol_audio"),
        ({"columns": ["weight"]}, "no column weight; there are: sample_rate, .*mushra"),
        ({"figure": "pie"}, "no figure pie; there are: rate_quality, dropout, codebook_usage"),
        ({"against": "Basis"}, "no row to compare with Basis; there are: "),
        ({"margin": {"mel": 1}}, "no metric .* for the margin mel .did you mean mel_distance.*; there are: mel_dist"),
        ({"rows": [{"name": "a", "codec": "x", "flags": "y"}]}, "'a' has flags and codec; give only one of them"),
        ({"rows": [{"name": "a", "figures": [{"kbps": 6}]}]}, "the 'figures' of row 'a' are each a 'published'"),
        ({"rows": [{"values": [1, 2]}], "template": {"values": ["t"]}}, r"a row of values \[1, 2\] needs a 'template'"),
        ({"rows": [{"name": "a", "codec": "x"}, {"name": "a", "codec": "y"}]}, "rows need different names, but 'a' is"),
        ({"import": "noisy.py"}, "'import' should list Python files, as in .my_part.py.; it is 'noisy.py'"),
        ({"rows": [{"values": [1]}]}, r"a row of values \[1\] needs a 'template'"),
    ],
)
def test_mistakes_in_a_table_are_named(tmp_path: Path, content: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_table(written(tmp_path, **content))


def test_an_unknown_table_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="no table 'nope'; there are: .*demo"):
        read_table("nope")


def test_a_row_says_how_it_is_made(tmp_path: Path) -> None:
    rows = [
        {"name": "a", "run": "b", "sizes": {"model.encoder.n_filters": 16}},
        {"name": "hub", "codec": "facebook/encodec_24khz"},
        {"name": "opus", "baseline": {"part": "Opus"}, "figures": [{"bitrate": 6, "published": {"mushra": "30 ± 2"}}]},
        {"name": "built", "recipe": "dac_44khz", "bitrates": [7.75]},
        {"name": "paper", "only_published": True, "published": {"mushra": 95.5}},
    ]
    spec = read_table(written(tmp_path, rows=rows, base="--config encodec_24khz", columns=["latency"], bitrates=[3]))
    assert [row.kind for row in spec.rows] == ["trained", "codec", "baseline", "recipe", "published"]
    assert [row.flags for row in spec.rows[1:]] == [[]] * 4
    assert [row.run_label for row in spec.rows] == ["b", "hub", "opus", "built", "paper"]
    trained, hub, opus, built, _ = spec.rows
    assert spec.rates_of(trained, RATES) == spec.rates_of(hub, RATES) == [3.0]
    assert spec.rates_of(opus, []) == [6]
    assert spec.rates_of(built, [0.86, 7.75]) == [7.75]
    printed = spec.printed([RowResult(row) for row in spec.rows], ["here"], ranked=False)
    assert printed.columns == ["latency"]
    assert printed.rows[2].stated[0].published == {"mushra": "30 ± 2"}


def test_sizes_keep_their_proportion_at_every_scale(tmp_path: Path) -> None:
    """EnCodec's 32 channels are 16 at the laptop's scale, DAC's 1536 are 128."""
    rows = [{"name": "a", "flags": "--config encodec_24khz", "sizes": {"model.encoder.n_filters": 16}},
            {"name": "b", "flags": "--config=dac_44khz", "sizes": {"model.decoder.n_filters": 512}},
            {"name": "c", "flags": "--config dac_44khz", "sizes": {"model.decoder.gain": 2}},
            {"name": "d", "sizes": {"model.decoder.n_filters": 2}}]  # fmt: skip
    half, third, wrong, nameless = read_table(written(tmp_path, rows=rows)).rows
    assert words_at(half, None) == Words(["encodec_24khz"], settings=[("model.encoder.n_filters", 16)])
    assert words_at(half, "laptop").settings[-1] == ("model.encoder.n_filters", 8)
    assert words_at(third, "laptop").settings[-1] == ("model.decoder.n_filters", 43)
    with pytest.raises(RecipeError, match="no number for model.decoder.gain"):
        words_at(wrong, None)
    with pytest.raises(RecipeError, match="begin them with --config NAME"):
        words_at(nameless, None)


def test_a_template_is_filled_with_each_rows_values(tmp_path: Path) -> None:
    template = {"values": ["t", "on"], "name": "{t}, {on}", "flags": "--model.weights.waveform {t} --on {on}"}
    rows = [{"values": [10, True], "published": {"si_snr": 1}}, {"name": "plain", "flags": "--x 1"}]
    spec = read_table(written(tmp_path, rows=rows, template=template, base="--config encodec_24khz"))
    assert [row.name for row in spec.rows] == ["10, true", "plain"]
    assert spec.rows[0].flags[2:] == ["--model.weights.waveform", "10", "--on", "true"]
    assert spec.rows[0].published == {"si_snr": 1}


def test_tables_and_a_tables_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tables", []) == 0
    printed = capsys.readouterr().out
    assert "encodec_table_a4" in printed
    assert "28" in printed
    assert run("tables", ["encodec_table1"]) == 0
    printed = capsys.readouterr().out
    for words in ("Reference", "the paper's figures only", "baseline: LyraV2", "--config encodec_24khz"):
        assert words in printed
    assert run("tables", ["encodec_table5"]) == 0
    assert "recipe, not trained: encodec_48khz" in capsys.readouterr().out
    assert run("tables", ["nope"]) == 2
    assert "no table 'nope'" in capsys.readouterr().err
    assert run("tables", ["a", "b"]) == 2


def test_rows_named_in_any_script_have_folders_of_their_own() -> None:
    folders = [slug(name) for name in ("基线 1", "模型 1", "基线", "Basis 1")]
    assert len(set(folders)) == 4
    assert folders[3] == "basis-1"
    assert all(re.fullmatch("[a-z0-9-]+", folder) for folder in folders)
