"""The papers' tables: every row can be made, and every published figure is the paper's."""

import re
from pathlib import Path

import pytest

from codeclab.benchmarks.baselines import make_baseline
from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.tables.row import Figures, RowSpec
from codeclab.experiments.config.files import RECIPES, names
from codeclab.experiments.config.words import read_words
from codeclab.experiments.runner.read import TABLES, read_table
from codeclab.experiments.runner.spec import TableSpec, words_at
from codeclab.experiments.runs.build import CodecCLI, build_typed

SHARED = Path(__file__).parents[4] / "shared"
PAPER = SHARED / "papers" / "encodec-paper.md"

PAPER_TABLES = [name for name in names(TABLES) if name.startswith(("encodec_", "dac_"))]


ON_CPU = ["--trainer.accelerator", "cpu"]
NUMBERS = r"(--model\.(?:weights\.\w+|rate_sampling\.p|quantizer\.codebook_dim|\w+coder\.n_filters)) ([\d.]+)"
"""Settings of one number that any sensible value suits."""


def flags_text(row: RowSpec, scale: str | None) -> str:
    words = words_at(row, scale)
    return " ".join([*words.configs, *words.imports, *(f"--{name} {value}" for name, value in words.settings)])


def built(row: RowSpec, scale: str) -> CodecCLI:
    return build_typed("fit", words_at(row, scale).joined(read_words(["--scale", scale, "--dry-run", *ON_CPU])))


def different_rows() -> list[tuple[str, str]]:
    """One row of each set of flags, taking rows that differ in one of the ``NUMBERS`` alone for one."""
    result: dict[str, tuple[str, str]] = {}
    for name in PAPER_TABLES:
        for row in read_table(name).rows:
            if row.kind == "trained":
                shape = re.sub(NUMBERS, r"\1 #", flags_text(row, "laptop"))
                result.setdefault(shape, (name, row.name))
    return list(result.values())


def row_named(table: str, name: str) -> tuple[TableSpec, RowSpec]:
    spec = read_table(table)
    return spec, next(row for row in spec.rows if row.name == name)


@pytest.mark.parametrize(("table", "name"), different_rows())
def test_every_row_builds_and_offers_the_rates_it_is_measured_at(table: str, name: str) -> None:
    spec, row = row_named(table, name)
    cli = built(row, "laptop")
    codec = cli.model.codec
    rates = spec.rates_of(row, codec.bitrates)
    assert rates
    if not codec.quantizer.learns_rate:
        stated = [figures.bitrate for figures in row.stated if figures.bitrate is not None]
        assert all(any(abs(rate - one) < 0.05 * one for rate in rates) for one in stated)


def test_the_numbers_of_the_others_are_sensible() -> None:
    result = {
        (flag, float(number))
        for name in PAPER_TABLES
        for row in read_table(name).rows
        for flag, number in re.findall(NUMBERS, flags_text(row, "laptop"))
    }
    assert {number for flag, number in result if flag.endswith("codebook_dim")} == {2, 4, 32, 256}
    assert {number for flag, number in result if flag.endswith(".p")} == {0, 0.25, 0.5, 1}
    # Half and double the demo's 8 channels; a third and two thirds of its decoder's 64.
    assert {number for flag, number in result if flag.endswith("n_filters")} == {8, 32, 43, 85}


def test_the_rows_that_are_not_trained() -> None:
    kinds = {(name, row.name): row for name in PAPER_TABLES for row in read_table(name).rows if row.kind != "trained"}
    baselines = {str(row.baseline["part"]) for row in kinds.values() if row.kind == "baseline" and row.baseline}
    assert baselines == {"Opus", "MP3", "LyraV2", "CommandBaseline"}
    for (table, name), row in kinds.items():
        if row.kind == "recipe":
            assert row.recipe in names(RECIPES)
        if row.kind == "baseline":
            assert make_baseline(row.baseline or {}).name
            assert read_table(table).rates_of(row, []), (table, name)
        assert row.flags == []


def test_the_issues_tables_are_there() -> None:
    assert set(PAPER_TABLES) == {
        *("encodec_table1", "encodec_figure3", "encodec_table2", "encodec_table3", "encodec_table4", "encodec_table5"),
        *("encodec_table_a2", "encodec_table_a3", "encodec_table_a4"),
        *("dac_table1", "dac_table2", "dac_table3", "dac_table4"),
        *(f"dac_figure{number}" for number in range(1, 6)),
    }
    assert len(read_table("encodec_table_a4").rows) == 28
    assert len(read_table("dac_table2").rows) == 19


def test_one_codec_in_several_tables_is_trained_once() -> None:
    made: dict[str, str] = {}
    for name in PAPER_TABLES:
        for row in read_table(name).rows:
            if row.kind == "trained":
                flags = flags_text(row, None).replace("--model.rate_sampling.p 1.0", "").strip()
                assert made.setdefault(row.run_label, flags) == flags, (name, row.name)


def test_the_table_of_quantizers_differs_in_the_quantizer_alone() -> None:
    rows = read_table("quantizers").rows
    settings = {row.name: dict(zip(row.flags[::2], row.flags[1::2], strict=True)) for row in rows}
    assert {flags["--model.quantizer"] for flags in settings.values()} == {
        *("ResidualVQ", "FactorizedVQ", "FSQ", "PackageVQ", "DiffQ", "GumbelSoftmax"),
    }
    others = [{k: v for k, v in flags.items() if not k.startswith("--model.quantizer")} for flags in settings.values()]
    assert all(flags == others[0] for flags in others)
    assert len({tuple(row.flags) for row in rows}) == len(rows) == 12


@pytest.mark.parametrize("name", [row.name for row in read_table("quantizers").rows])
def test_every_quantizer_of_the_table_starts_from_the_built_in_codec(name: str) -> None:
    spec, row = row_named("quantizers", name)
    codec = built(row, str(spec.scale)).model.codec
    assert type(codec.quantizer).__name__ == row.flags[row.flags.index("--model.quantizer") + 1]
    assert codec.quantizer.dimension == codec.encoder.dimension
    rates = spec.rates_of(row, codec.bitrates)
    assert rates == pytest.approx([6] if codec.quantizer.learns_rate else [1, 2, 4, 6], rel=0.15)


# ------------------------------------------------------------------ against the papers


def cells(line: str) -> list[tuple[float, ...]]:
    """The numbers in each cell of a line."""
    plain = re.sub(r"<[^>]*>|\$|\\pm", " ", line).replace("±", " ")
    return [numbers(cell) for cell in plain.split("\t")]


def numbers(text: object) -> tuple[float, ...]:
    return tuple(float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", str(text)))


def paper_rows(title: str) -> list[list[str]]:
    """The lines of a table of the paper, split at tabs, without its headings."""
    if not PAPER.is_file():
        pytest.skip("the paper's text is not beside this checkout")
    after = PAPER.read_text().split(f"\n{title}: ", 1)[1].splitlines()
    first = next(index for index, line in enumerate(after) if "\t" in line)
    block = []
    for line in after[first:]:
        if "\t" not in line:
            break
        if not line.startswith(("Model", "$\\lambda")) and re.search(r"\d", line):
            block.append(line)
    return [line.split("\t") for line in block]


def stated(row: RowSpec) -> list[Figures]:
    return row.stated


def figure(row: RowSpec, name: str, bitrate: float | None = None, domain: str = ALL) -> tuple[float, ...]:
    """Our copy of a figure as the numbers in it; empty where there is none."""
    for figures in stated(row):
        if figures.domain == domain and (bitrate is None or figures.bitrate == bitrate) and name in figures.published:
            return numbers(figures.published[name])
    return ()


@pytest.mark.parametrize(
    ("table", "title", "first", "columns"),
    [
        ("encodec_table2", "Table 2", 1, ["si_snr", "visqol_audio", "mushra"]),
        ("encodec_table3", "Table 3", 2, ["si_snr", "visqol_audio"]),
        ("encodec_table_a2", "Table A.2", 2, ["mushra"]),
        ("encodec_table_a3", "Table A.3", 1, ["rtf_encoder", "rtf_decoder", "si_snr", "visqol_audio"]),
        ("encodec_table_a4", "Table A.4", 5, ["si_snr", "visqol_audio"]),
    ],
)
def test_a_table_of_one_line_a_row(table: str, title: str, first: int, columns: list[str]) -> None:
    theirs = paper_rows(title)
    rows = read_table(table).rows
    assert len(theirs) == len(rows)
    for line, row in zip(theirs, rows, strict=True):
        assert [figure(row, name) for name in columns] == cells("\t".join(line))[first:], row.name


def test_the_weights_of_table_a4() -> None:
    for line, row in zip(paper_rows("Table A.4"), read_table("encodec_table_a4").rows, strict=True):
        weights = [float(row.flags[row.flags.index(f"--model.weights.{name}") + 1])
                   for name in ("waveform", "spectral", "adversarial", "feature")]  # fmt: skip
        assert weights == [float(cell) for cell in line[:4]]
        balanced = row.flags[row.flags.index("--model.balancer.enabled") + 1]
        assert balanced == {"✓": "true", "✗": "false"}[line[4]]
        assert row.name == f"{' '.join(line[:4])}, balancer {balanced}"


def test_table_1() -> None:
    theirs = {(line[0].lower().removeprefix("encodec").strip() or "encodec", numbers(line[1])): line
              for line in paper_rows("Table 1")}  # fmt: skip
    seen = 0
    for row in read_table("encodec_table1").rows:
        for bitrate in dict.fromkeys(figures.bitrate for figures in stated(row)):
            labels = {f.label for f in stated(row) if f.bitrate == bitrate and f.label}
            rates = numbers(labels.pop()) if labels else () if bitrate is None else (float(bitrate),)
            line = theirs[row.name.lower(), rates]
            domains = ["clean speech", "noisy speech", "music set 1", "music set 2"]
            assert [figure(row, "mushra", bitrate, d) for d in domains] == cells("\t".join(line))[3:]
            assert figure(row, "entropy_coded", bitrate) == numbers(line[2].replace("-", ""))
            seen += 1
    assert seen == len(theirs) == 10


def test_table_4() -> None:
    lines = iter(paper_rows("Table 4"))
    for row in read_table("encodec_table4").rows:
        for figures in stated(row):
            name, kbps, *rest = next(lines)
            assert name.lower().startswith(row.name.lower()[:5])
            assert numbers(kbps) == (() if figures.bitrate is None else (float(figures.bitrate),))
            wanted = [numbers(figures.published.get(k, "")) for k in ("entropy_coded", "compression", "mushra")]
            assert wanted == cells("\t".join(rest))
    assert next(lines, None) is None


def test_table_5() -> None:
    rows = [row for row in read_table("encodec_table5").rows if row.name != "EnCodec 24 kHz, zeros at the start"]
    for line, row in zip(paper_rows("Table 5"), rows, strict=True):
        latency = numbers(line[1].replace("-", ""))
        assert figure(row, "latency") == ((1000.0,) if line[1] == "1 s" else latency)
        names_ = ["rtf_encoder", "rtf_decoder", "rtf_encoder_entropy", "rtf_decoder_entropy"]
        assert [figure(row, name) for name in names_] == [numbers(cell) for cell in line[2:]]


def test_figure_3_has_the_categories_of_table_1() -> None:
    table, plotted = (
        {
            (row.name, figures.domain, figures.bitrate): figures.published["mushra"]
            for row in read_table(name).rows
            for figures in row.stated
            if "mushra" in figures.published
        }
        for name in ("encodec_table1", "encodec_figure3")
    )
    assert plotted == table
    assert len(plotted) == 40
