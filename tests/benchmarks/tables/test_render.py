import math
from dataclasses import replace
from pathlib import Path

import pytest

from codeclab.benchmarks.tables import render
from codeclab.benchmarks.tables.grid import count, published
from codeclab.benchmarks.tables.render import csv_long, latex, markdown, text, write_table
from codeclab.benchmarks.tables.row import Figures, RowResult
from codeclab.benchmarks.tables.table import Table
from codeclab.codecs.io.files import write_atomically

NAN = math.nan


@pytest.fixture
def small(make_summary) -> Table:
    first = make_summary(
        ("all", 7.75, "si_sdr", 9.124, 0.316, 4, 0),
        ("all", 7.75, "visqol_speech", NAN, NAN, 0, 4),
        ("all", 7.75, "bitrate_efficiency", 0.98765, NAN, 4, 0),
    )
    second = make_summary(
        ("all", 7.75, "si_sdr", 8.0, 0.25, 4, 0),
        ("all", 7.75, "visqol_speech", 3.5, NAN, 1, 3),
        ("all", 7.75, "bitrate_efficiency", 0.5, NAN, 4, 0),
    )
    published = {"si_sdr": 9.12, "mushra": "~60 ± 2", "bitrate_efficiency": 0.99}
    rows = [
        RowResult.named(
            "a|b_c",
            first,
            published=published,
            bitrate=8.0,
            label="8 kbps",
            wall_seconds=185,
            parameters=14_900_000,
        ),
        RowResult.named("50% {d}", second),
        RowResult.named("broken", error="loss was\nnot finite."),
    ]
    metrics = ["si_sdr", "visqol_speech", "bitrate_efficiency"]
    return Table("Swap & see", "DAC_2023, Table 2", metrics, rows, ["100 steps."], ranked=True)


MARKDOWN = r"""## Swap & see

| Row | kbps | SI-SDR, dB ↑ | published | ViSQOL (speech, 16 kHz, lattice) ↑ | Bitrate efficiency ↑ | published | MUSHRA, published only | Parameters | Time |
| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| a\|b\_c | 7.75 (8 kbps) | **9.12 ± 0.32** | 9.12 | — | 98.8% | 99% | ~60 ± 2 | 14.9 M | 3 min 05 s |
| 50% {d} | 7.75 | 8.00 ± 0.25 | — | 3.50 | 50.0% | — | — | — | — |
| broken | — | failed | — | failed | failed | — | — | — | — |

* ± is half of the 95 % confidence interval over 4 files; kbps are nominal.
* Published figures: DAC\_2023, Table 2.
* Bold: the best at its bitrate and all whose intervals overlap its interval, if at least one does not.
* a\|b\_c at 7.75 kbps: ViSQOL (speech, 16 kHz, lattice) is missing for 4 of 4 files.
* 50% {d} at 7.75 kbps: ViSQOL (speech, 16 kHz, lattice) is missing for 3 of 4 files.
* broken failed: loss was not finite.
* 100 steps.
"""  # noqa: E501

LATEX = r"""\begin{table}
\centering
\small
\caption{Swap \& see}
\begin{tabular}{lrrrrrrrrr}
\toprule
Row & kbps & SI-SDR, dB $\uparrow$ & published & ViSQOL (speech, 16 kHz, lattice) $\uparrow$ & Bitrate efficiency $\uparrow$ & published & MUSHRA, published only & Parameters & Time \\
\midrule
a|b\_c & 7.75 (8 kbps) & \textbf{9.12 $\pm$ 0.32} & 9.12 & --- & 98.8\% & 99\% & \textasciitilde{}60 $\pm$ 2 & 14.9 M & 3 min 05 s \\
50\% \{d\} & 7.75 & 8.00 $\pm$ 0.25 & --- & 3.50 & 50.0\% & --- & --- & --- & --- \\
broken & --- & failed & --- & failed & failed & --- & --- & --- & --- \\
\bottomrule
\end{tabular}

\medskip
\begin{minipage}{\linewidth}\footnotesize
$\pm$ is half of the 95 \% confidence interval over 4 files; kbps are nominal.\\
Published figures: DAC\_2023, Table 2.\\
Bold: the best at its bitrate and all whose intervals overlap its interval, if at least one does not.\\
a|b\_c at 7.75 kbps: ViSQOL (speech, 16 kHz, lattice) is missing for 4 of 4 files.\\
50\% \{d\} at 7.75 kbps: ViSQOL (speech, 16 kHz, lattice) is missing for 3 of 4 files.\\
broken failed: loss was not finite.\\
100 steps.
\end{minipage}
\end{table}
"""  # noqa: E501

CSV = """row,label,domain,bitrate_kbps,metric,mean,ci95,n,failed,published,wall_seconds,parameters,error
a|b_c,8 kbps,all,7.75,si_sdr,9.124,0.316,4,0,9.12,185,14900000,
a|b_c,8 kbps,all,7.75,visqol_speech,,,0,4,,185,14900000,
a|b_c,8 kbps,all,7.75,bitrate_efficiency,0.98765,,4,0,0.99,185,14900000,
a|b_c,8 kbps,all,7.75,mushra,,,,,~60 ± 2,185,14900000,
50% {d},,all,7.75,si_sdr,8.0,0.25,4,0,,,,
50% {d},,all,7.75,visqol_speech,3.5,,1,3,,,,
50% {d},,all,7.75,bitrate_efficiency,0.5,,4,0,,,,
broken,,all,,,,,,,,,,"loss was
not finite."
"""


def test_markdown(small) -> None:
    assert markdown(small) == MARKDOWN


def test_latex(small) -> None:
    assert latex(small) == LATEX


def test_csv(small) -> None:
    assert csv_long(small) == CSV


def test_terminal(small) -> None:
    rendered = text(small, 240)
    assert "9.12 ± 0.32" in rendered
    assert "ViSQOL (speech, 16 kHz, lattice) is missing for 3 of 4 files." in rendered
    assert "not ranked" not in rendered


def test_a_name_shorter_than_its_heading_and_one_of_wide_letters_are_not_broken(make_summary) -> None:
    summary = make_summary(("all", 6.0, "si_sdr", 9.0, 0.3, 4, 0))
    for name in ("a", "日本語の列"):
        lines = text(Table("", "", ["si_sdr"], [RowResult.named(name, summary)]), 80).splitlines()
        assert any(line.startswith(f"│ {name} ") for line in lines), lines
        assert any(line.startswith("┃ Row ") for line in lines), lines


def test_what_does_not_fit_a_terminal_follows_below_and_nothing_is_broken(small) -> None:
    wide, narrow = text(small, 240), text(small, 50)
    assert narrow.count("kbps ┃") > wide.count("kbps ┃")
    assert max(len(line) for line in narrow.splitlines()) <= 50
    figures = [word.strip() for line in wide.splitlines() if line.startswith("│") for word in line.split("│")[1:-1]]
    assert all(figure in narrow for figure in figures)


def test_short_rows_are_not_ranked(small) -> None:
    small.ranked = False
    rendered = markdown(small)
    assert "**" not in rendered
    assert "* These rows were trained too briefly to be ranked: no figure is marked as the best." in rendered


def test_each_domain_has_a_section(make_summary) -> None:
    cells = [(domain, 6.0, "si_sdr", mean, 0.5, 2, 0) for domain, mean in (("all", 2), ("music", 1), ("speech", 3))]
    rows = [
        RowResult.named("a", make_summary(*cells), published={"si_sdr": 1.0}),
        RowResult.named("b", None, published={"si_sdr": 2.0}),
    ]
    rendered = markdown(Table("t", "s", ["si_sdr"], rows))
    assert "| b | — | — | 2.00 |" in rendered
    music = "### music\n\n| Row | kbps | SI-SDR, dB ↑ |\n| :--- | ---: | ---: |\n| a | 6 | 1.00 ± 0.50 |\n"
    assert music in rendered
    assert "| a | 6 | 3.00 ± 0.50 |" in rendered.split("### speech")[1]
    assert latex(Table("t", "s", ["si_sdr"], rows)).count(r"\begin{tabular}") == 3


def test_published_figures_keep_their_decimals() -> None:
    assert published(4.3, "si_sdr") == "4.30"
    assert published(4.125, "si_sdr") == "4.125"
    assert published(-0.02, "si_sdr") == "-0.02"
    assert published(0.62, "bitrate_efficiency") == "62%"
    assert published(77.5, "mushra") == "77.5"


def test_counts_read_well() -> None:
    assert [count(n) for n in (None, 12, 3400, 14_850_000, 1_600_000_000)] == ["—", "12", "3.4 k", "14.8 M", "1.6 G"]


def test_files_are_written_whole_or_not_at_all(small, tmp_path: Path, monkeypatch) -> None:
    write_table(small, tmp_path / "new" / "t")
    written = {path.name: path.read_bytes() for path in (tmp_path / "new" / "t").iterdir()}
    assert sorted(written) == ["table.csv", "table.json", "table.md", "table.png", "table.tex"]
    assert written["table.md"].decode() == MARKDOWN
    assert written["table.png"].startswith(b"\x89PNG\r\n")

    def broken(table):
        raise RuntimeError("no figure")

    monkeypatch.setattr(render, "plot", broken)
    small.title = "Another"
    with pytest.raises(RuntimeError, match="no figure"):
        write_table(small, tmp_path / "new" / "t")
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "t").iterdir()} == written


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    write_atomically(tmp_path / "x.txt", "old")

    def full(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(tmp_path / "x.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text() == "old"


def columns_table(make_summary) -> Table:
    """EnCodec's Table 5 in small: a codec that was timed, and figures nobody here has."""
    summary = make_summary(("all", 6.0, "latency", 13.333, NAN, 1, 0), ("all", 6.0, "si_sdr", 1.0, 0.5, 8, 0))
    published = {"latency": 13, "entropy_coded": 4.1}
    rows = [
        RowResult.named("a", summary, published=published, bitrate=6.0, seeds=3),
        RowResult.named("Reference", figures=[Figures({"mushra": "95.5 ± 1.6"}, domain="clean speech")]),
        RowResult.named(
            "b",
            None,
            figures=[Figures({"mushra": "49.2 ± 2.4"}, 1.5, domain="clean speech")],
            error="not installed",
        ),
    ]
    return Table("t", "EnCodec", ["si_sdr"], rows, columns=["latency", "entropy_coded", "mushra"])


def test_columns_stand_beside_metrics_and_open_ones_say_why(make_summary) -> None:
    rendered = markdown(columns_table(make_summary))
    heading, _, first, second = rendered.splitlines()[2:6]
    assert heading == (
        "| Row | kbps | SI-SDR, dB ↑ | Latency at the start, ms | published | Entropy coded, published only |"
    )
    assert first == "| a | 6 | 1.00 ± 0.50 | 13.33 | 13 | 4.10 |"
    assert second == "| b | — | failed | failed | — | — |"
    fitted = "our figures need a language model for each run: codeclab table NAME --fit-lm RECIPE."
    assert f"* Entropy coded: {fitted}" in rendered
    assert "* MUSHRA: our figures need a listening test: codeclab mushra." in rendered
    assert "over 8 files and 3 seeds" in rendered
    assert "* Figures at this scale cannot stand for the paper's" in rendered
    assert "a,,all,6.0,latency,13.333,,1,0,13,,," in csv_long(columns_table(make_summary))


def test_a_domain_of_the_paper_has_its_own_part(make_summary) -> None:
    table = columns_table(make_summary)
    first = table.rows[0]
    stated = [Figures({"mushra": 83.1}, 6.0, domain="music set 1")]
    table.rows[0] = replace(first, spec=replace(first.spec, figures=stated))
    rendered = markdown(table)
    assert "### clean speech" in rendered
    assert "| Reference | — | 95.5 ± 1.6 |" in rendered
    assert "| b | 1.5 | 49.2 ± 2.4 |" in rendered
    assert "### music set 1\n\n| Row | kbps | MUSHRA, published only |" in rendered
    assert latex(table).count(r"\toprule") == latex(table).count(r"\bottomrule") == 3


def test_ranked_tables_claim_no_direction_only(make_summary) -> None:
    table = columns_table(make_summary)
    table.ranked = True
    assert "cannot stand for the paper's" not in markdown(table)
    table.full_size = False  # small rows, ranked over several seeds
    assert "cannot stand for the paper's" in markdown(table)
    assert "not ranked" not in markdown(table)
