"""Improved RVQGAN's tables and figures: every published figure, every row's settings, every disagreement noted."""

import json
import re
from pathlib import Path

import pytest

from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.tables.published import is_single_source, published_number
from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.config.files import RECIPES, names, read_yaml
from codeclab.experiments.runner.read import TABLES, read_table

DAC = Path(__file__).parents[4] / "shared" / "papers" / "dac_tables.md"

METRICS = ("mel_distance", "stft_distance", "visqol_audio", "si_sdr")


def dac_lines(heading: str, columns: int) -> list[list[str]]:
    """The cells of the lines of ``columns`` cells with figures, below a heading of the notes on the paper's tables."""
    if not DAC.is_file():
        pytest.skip("the notes on the paper's tables are not beside this checkout")
    text = re.split(r"\n#+ ", DAC.read_text().split(heading, 1)[1])[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [line for line in cells[2:] if len(line) == columns]


def numbers(text: object) -> tuple[float, ...]:
    return tuple(float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", str(text)))


def as_written(figure: float | str, percent: bool = False) -> tuple[float, bool]:
    """A figure and whether it has the mark of a single source."""
    number = published_number(figure)
    assert number is not None
    return round((100 if percent else 1) * number, 6), is_single_source(figure)


def test_dac_table_2_has_all_its_cells_with_their_marks() -> None:
    theirs = dac_lines("### 2b. Results", 8)
    rows = read_table("dac_table2").rows
    names = (*METRICS, "bitrate_efficiency")
    ours = [[as_written(row.published[name], name == "bitrate_efficiency") for name in names] for row in rows]
    assert ours == [[as_written(cell) for cell in line[2:7]] for line in theirs]
    assert sum(map(len, ours)) == 95


BANDS = [[0.0, 0.1], [0.1, 0.25], [0.25, 0.5], [0.5, 0.75], [0.75, 1.0]]
SINGLE_SCALE = {
    **{"rates": [1], "downsampling": "sinc", "negative_slope": 0.1, "first_padding": "zeros"},
    **{"spectral": False, "normalize_input": True},
}
CHANGES = [
    {},
    {"sizes": {"model.decoder.n_filters": 512}},
    {"sizes": {"model.decoder.n_filters": 1024}},
    {"encoder.activation": "relu", "decoder.activation": "relu"},
    {
        **{"discriminators": [], "weights.adversarial": 0, "weights.feature": 0},
        **{"waveform_loss": "WaveformL1", "weights.waveform": 1, "weights.spectral": 1},
    },
    {
        "discriminators": [("MultiPeriodDiscriminator", {}), ("MultiBandSTFTDiscriminator", {"bands": [[0.0, 1.0]]})],
        "weights.feature": 5.0,
    },
    {"discriminators": [("MultiBandSTFTDiscriminator", {})], "weights.feature": 2.66},
    {
        "discriminators": [("MultiBandSTFTDiscriminator", {}), ("MultiScaleDiscriminator", SINGLE_SCALE)],
        "weights.feature": 2.5,
    },
    {"spectral_loss.window_lengths": [512], "spectral_loss.n_mels": [80], "weights.spectral": 100},
    *({"quantizer.codebook_dim": size} for size in (2, 4, 32, 256)),
    {"quantizer": "ResidualVQ"},
    *({"rate_sampling.p": share} for share in (0.0, 0.25, 0.5)),
    {"quantizer.n_codebooks": 28},
    {"data.sampling.full_band": False},
]
"""What each row of Table 2 changes, from the table's labels and the released conf/ (section 2a of the notes)."""


def changes(row: RowSpec, base: list[str]) -> dict[str, object]:
    """What a row's flags and sizes set beyond the baseline's."""
    assert row.flags[: len(base)] == base
    own = row.flags[len(base) :]
    result: dict[str, object] = {"sizes": dict(row.sizes)} if row.sizes else {}
    for flag, value in zip(own[::2], own[1::2], strict=True):
        try:
            read = json.loads(value)
        except json.JSONDecodeError:
            read = value
        if flag == "--model.discriminators":
            read = [(part["class_path"], part.get("init_args", {})) for part in read]
        result[flag.removeprefix("--").removeprefix("model.")] = read
    return result


def test_dac_table_2_changes_what_the_released_configurations_change() -> None:
    rows = read_table("dac_table2").rows
    assert [changes(row, list(rows[0].flags)) for row in rows] == CHANGES


def test_the_notes_on_the_configurations_name_the_same_settings() -> None:
    """The literal values above, found again in the notes' own words."""
    theirs = [" ".join(line[2:]) for line in dac_lines("### 2a.", 5)]
    words = {
        **{
            2: "decoder_dim: 512",
            3: "decoder_dim: 1024",
            4: "relu",
            5: "mel 1, **waveform L1 1**",
            19: "no-data-balance",
        },
        **{6: "feature matching 5.0", 7: "feature matching 2.66", 8: "feature matching 2.5", 9: "**mel weight 100**"},
        **{10 + index: f"codebook_dim: {size}" for index, size in enumerate((2, 4, 32, 256))},
        **{14: "EMA", 15: "dropout-0.0", 16: "dropout-0.25", 17: "dropout-0.5", 18: "28 codebooks"},
    }
    assert len(theirs) == len(CHANGES) == 19
    assert [number for number, said in words.items() if said not in theirs[number - 1]] == []
    for said in ("rates [1], periods []", "80 mels, window 512, hop 128", "bands [0, 1]"):
        assert said in " ".join(theirs)


def test_dac_table_2s_baseline_is_the_papers_letter() -> None:
    """What the notes list as the text's, where the released configurations say otherwise."""
    recipe = read_yaml(RECIPES / "dac_44khz_ablation.yaml")
    model, data = recipe["model"], recipe["data"]
    assert model["adversarial_loss"]["class_path"] == "HingeGANLoss"
    assert model["optimizer"]["betas"] == model["discriminator_optimizer"]["betas"] == [0.8, 0.9]
    assert data["augmentations"][0]["init_args"]["target_lufs"] == -24
    assert data["sampling"] == {"class_path": "BalancedDomains"}
    weights = {"spectral": 15, "feature": 2, "adversarial": 1, "codebook": 1, "commitment": 0.25}
    assert model["weights"] == weights
    kinds = [part["class_path"] for part in model["discriminators"]]
    assert kinds == ["MultiPeriodDiscriminator", "MultiBandSTFTDiscriminator"]
    assert model["discriminators"][1]["init_args"]["bands"] == BANDS


@pytest.mark.parametrize(("table", "columns", "first"), [("dac_table3", 7, 3), ("dac_table4", 8, 4)])
def test_dac_tables_3_and_4(table: str, columns: int, first: int) -> None:
    theirs = dac_lines(f"## Table {table[-1]}.", columns)
    ours = [(row.name, figures) for row in read_table(table).rows for figures in row.stated]
    assert len(ours) == len(theirs) == {"dac_table3": 13, "dac_table4": 10}[table]
    for (name, figures), line in zip(ours, theirs, strict=True):
        assert name == line[0].split()[0]
        assert numbers(figures.label or figures.bitrate) == numbers(line[1])
        assert numbers(figures.published["bandwidth"]) == numbers(line[first - 1])
        assert [as_written(figures.published[metric]) for metric in METRICS] == [as_written(x) for x in line[first:]]


def test_dac_figure_1_has_the_plotted_entropies() -> None:
    for line, row in zip(dac_lines("## Figure 1.", 4), read_table("dac_figure1").rows, strict=True):
        assert len(row.entropies) == int(line[1])
        stated, _, rest = line[2].partition(",")
        known = [float(number) for number in stated.split()]
        assert row.entropies[: len(known)] == known
        later = {int(index): float(bits) for index, bits in re.findall(r"index (\d+): ([\d.]+)", rest)}
        others = {index: bits for index, bits in enumerate(row.entropies) if index >= len(known) and bits is not None}
        assert others == later
        assert row.stated[0].published["bitrate_efficiency"] == pytest.approx(float(line[3].rstrip(" %")) / 100)


def test_dac_figure_2_has_the_plotted_curves() -> None:
    for line, row in zip(dac_lines("## Figure 2.", 10), read_table("dac_figure2").rows, strict=True):
        assert row.name == f"Dropout {line[0]}"
        assert [figures.published["mel_distance"] for figures in row.stated] == [float(cell) for cell in line[1:]]
        rates = [figures.bitrate for figures in row.stated]
        assert rates == pytest.approx([books * 10 * 44100 / 512 / 1000 for books in range(1, 10)], abs=5e-4)
        labels = ["0.89", "1.78", "2.67", "3.56", "4.44", "5.33", "6.22", "7.11", "8"]  # 8n/9
        assert [figures.label for figures in row.stated] == [f"{label} kbps" for label in labels]


@pytest.mark.parametrize(
    ("table", "begins", "domains"),
    [("dac_figure3", "44.1", [ALL]), ("dac_figure4", "all res", [ALL]),
     ("dac_figure5", "44.1", ["speech", "music", "environment"])],
)  # fmt: skip
def test_dac_listening_tests_have_the_plotted_points(table: str, begins: str, domains: list[str]) -> None:
    lines = dac_lines("## Listening tests", 7)
    first = next(index for index, line in enumerate(lines) if line[0].startswith(begins))
    wanted = {}
    for line in lines[first : first + 7]:
        for domain, cell in zip([ALL, "speech", "music", "environment"], line[3:], strict=True):
            if domain in domains:
                wanted[line[1].lower(), numbers(line[2]), domain] = cell.replace("-", " to ")
    result = {
        (row.name.lower(), numbers(figures.label or figures.bitrate), figures.domain): figures.published["mushra"]
        for row in read_table(table).rows
        for figures in row.stated
    }
    assert result == wanted
    assert len(result) == 7 * len(domains)


def test_where_the_papers_text_and_table_disagree_the_note_says_so() -> None:
    said = {name: " ".join(read_table(name).notes) for name in names(TABLES) if name.startswith("dac_")}
    for table, words in {
        "dac_table2": [
            *("dimension 1024", "unbalanced", "largest change", "Leaky ReLU", "four metrics", "One STFT band"),
            *("6 : 4 : 2", "4 : 4 : 4", "is 5 with one STFT band, 2.66 without", "and 2.5 with", "mel scale is 100"),
            *(
                "an L1 loss on the waveform",
                "least squares",
                "0.9 (0.99)",
                "-24 LUFS (-16)",
                "multi-scale discriminator",
            ),
        ],
        "dac_table3": ["Opus at 24 kbps", "It is ahead"],
        "dac_figure4": ["0.75 kbps"],
        "dac_figure2": ["always drops codebooks of the same items"],
    }.items():
        assert [word for word in words if word not in said[table]] == []
