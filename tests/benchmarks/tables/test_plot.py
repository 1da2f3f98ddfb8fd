import io
import math
from dataclasses import replace

import pytest
from matplotlib.font_manager import findfont
from matplotlib.image import imread
from matplotlib.text import Text
from pandas import DataFrame

from codeclab.benchmarks.evaluate.evaluation import CODEBOOK_COLUMNS
from codeclab.benchmarks.tables import plot as module
from codeclab.benchmarks.tables.plot import plot
from codeclab.benchmarks.tables.row import Figures, RowResult, RowSpec
from codeclab.benchmarks.tables.table import Table
from codeclab.experiments.runner.read import read_table


@pytest.fixture
def figures(monkeypatch) -> list:
    """The figures that were drawn."""
    drawn = []

    class Canvas(module.FigureCanvasAgg):
        def __init__(self, figure) -> None:
            drawn.append(figure)
            super().__init__(figure)

    monkeypatch.setattr(module, "FigureCanvasAgg", Canvas)
    return drawn


def row(make_summary, name: str, *bitrates: float) -> RowResult:
    cells = [("all", b, "si_sdr", b / 2, 0.25, 9, 0) for b in bitrates]
    return RowResult.named(name, make_summary(*cells, ("all", bitrates[0], "mel_distance", math.nan, math.nan, 0, 9)))


def test_letters_of_no_font_are_named_in_one_line(make_summary, caplog, recwarn) -> None:
    rows = [row(make_summary, "日本 a", 6.0, 1.5), row(make_summary, "日 b", 3.0)]
    with pytest.MonkeyPatch.context() as patch:
        letters = module._letters
        patch.setattr(module, "_letters", lambda font: letters(font) - {"日", "本"})
        plot(Table("t", "s", ["si_sdr"], rows))
    assert caplog.messages == [
        "the plot shows boxes in place of 日本: no installed font has them (Noto Sans CJK has most)"
    ]
    assert not [one for one in recwarn if "Glyph" in str(one.message)]


def test_letters_are_drawn_in_an_installed_font_that_has_them(make_summary, figures, caplog) -> None:
    own = module._letters(findfont("DejaVu Sans"))
    letter = min(one for one in module._letters(findfont("STIXGeneral")) - own if one.isprintable())
    plot(Table("t", "s", ["si_sdr"], [row(make_summary, f"{letter} a", 6.0, 1.5), row(make_summary, "b", 3.0)]))
    assert not caplog.messages
    (name,) = [text for text in figures[0].findobj(Text) if text.get_text() == f"{letter} a"]
    assert letter in module._letters(findfont(name.get_fontfamily()[1]))


def test_quality_against_bitrate(make_summary, figures) -> None:
    rows = [row(make_summary, "a", 6.0, 1.5), row(make_summary, "b", 3.0), RowResult.named("broken", error="no")]
    image = imread(io.BytesIO(plot(Table("t", "s", ["mel_distance", "si_sdr"], rows))))
    assert image.std() > 0.01
    (panel,) = figures[0].axes  # nothing was measured of the mel distance
    line, other = (container.lines for container in panel.containers)
    assert line[0].get_xydata().tolist() == [[1.5, 0.75], [6.0, 3.0]]
    assert other[0].get_xydata().tolist() == [[3.0, 1.5]]
    (bars,) = line[2]
    assert bars.get_segments()[1].tolist() == [[6.0, 2.75], [6.0, 3.25]]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["a", "b"]


def test_one_bitrate_gives_one_dot_a_row(make_summary, figures) -> None:
    rows = [row(make_summary, "a", 7.75), row(make_summary, "b", 7.75)]
    plot(Table("t", "s", ["si_sdr"], rows))
    (panel,) = figures[0].axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["a", "b"]
    assert [container.lines[0].get_xydata().tolist() for container in panel.containers] == [
        [[3.875, 1.0]],
        [[3.875, 0.0]],
    ]


def test_nothing_measured_is_said(figures) -> None:
    plot(Table("t", "s", ["si_sdr"], [RowResult.named("a", None, published={"si_sdr": 1.0})]))
    assert figures[0].texts[0].get_text() == "nothing was measured"


def test_where_every_row_of_a_full_size_table_failed_the_papers_figures_stand_alone(figures) -> None:
    stated = [Figures(published={"si_sdr": 5.0}, bitrate=6.0)]
    rows = [RowResult.named("a", error="out of memory", figures=stated), RowResult.named("b", error="out of memory")]
    plot(Table("t", "s", ["si_sdr"], rows, ranked=True))
    (panel,) = figures[0].axes
    assert [line.get_xydata().tolist() for line in panel.lines] == [[[6.0, 5.0]]]


def test_published_figures_are_hollow_beside_ranked_curves_and_in_a_papers_figure(make_summary, figures) -> None:
    stated = [Figures({"si_sdr": 9.0}, 6.0), Figures({"si_sdr": "about 8"}, 1.5)]
    one = replace(row(make_summary, "a", 6.0, 1.5), spec=RowSpec("a", figures=stated))
    table = Table("t", "s", ["si_sdr"], [one], ranked=True, figure="rate_quality")
    plot(table)
    (panel,) = figures[0].axes
    (hollow,) = [line for line in panel.lines if line.get_markerfacecolor() == "white"]
    assert hollow.get_xydata().tolist() == [[6.0, 9.0]]
    assert "Hollow: published." in figures[0].legends[0].get_title().get_text()
    table.ranked = False
    plot(table)
    assert "Hollow: published." in figures[1].legends[0].get_title().get_text()
    two = [one, replace(row(make_summary, "b", 6.0, 1.5), spec=RowSpec("b"))]
    plot(Table("t", "s", ["si_sdr"], two, ranked=False))
    assert not [
        line for line in figures[2].axes[0].lines if line.get_markerfacecolor() == "white" and line.get_xydata().size
    ]
    assert "Hollow" not in figures[2].legends[0].get_title().get_text()


def test_rows_that_differ_by_degrees_are_shades_of_one_scale(make_summary, figures) -> None:
    rows = [row(make_summary, name, 6.0, 1.5) for name in ("0.0", "0.5", "1.0")]
    plot(Table("t", "s", ["si_sdr"], rows, figure="dropout"))
    shades = [sum(container.lines[0].get_color()[:3]) for container in figures[0].axes[0].containers]
    assert shades == sorted(shades)  # from dark to light


def test_codebooks_at_the_highest_bitrate(figures) -> None:
    def codes(*entropies: float) -> DataFrame:
        lines = [("all", 6.0, str(k), 1024, 0.5 * k, bits, bits / 10, 3) for k, bits in enumerate(entropies, start=1)]
        other = [("all", 3.0, "1", 1024, 0.1, 1.0, 0.1, 3), ("all", 6.0, "all", 1024, 0.1, 1.0, 0.1, 3)]
        return DataFrame([*other, *lines, ("music", 6.0, "1", 1024, 0.1, 2.0, 0.2, 3)], columns=CODEBOOK_COLUMNS)

    rows = [
        RowResult.named("a", codebooks=codes(9.5, 8.0)),
        RowResult.named("b", codebooks=codes(7.0)),
        RowResult.named("broken", error="no"),
    ]
    plot(Table("t", "s", ["codebook_usage"], rows, figure="codebook_usage"))
    entropy, usage = figures[0].axes
    assert [line.get_xydata().tolist() for line in entropy.lines[:2]] == [[[1, 9.5], [2, 8.0]], [[1, 7.0]]]
    assert entropy.lines[2].get_ydata() == [10.0, 10.0]
    assert usage.lines[0].get_ydata().tolist() == [0.5, 1.0]


def test_the_papers_entropies_stand_hollow_beside_ours(figures) -> None:
    codes = DataFrame([("all", 6.0, "1", 1024, 0.5, 9.5, 0.9, 3)], columns=CODEBOOK_COLUMNS)
    rows = [RowResult.named("a", entropies=[9.7, None, 9.9], codebooks=codes)]
    plot(Table("t", "s", ["codebook_usage"], rows, figure="codebook_usage"))
    ours, theirs = figures[0].axes[0].lines[:2]
    assert ours.get_xydata().tolist() == [[1, 9.5]]
    assert theirs.get_xydata().tolist() == [[1, 9.7], [3, 9.9]]
    assert theirs.get_markerfacecolor() == "white"


def test_a_table_of_columns_alone_is_drawn_and_a_long_title_is_broken(make_summary, figures) -> None:
    summary = make_summary(("all", 6.0, "latency", 13.3, math.nan, 1, 0))
    plot(
        Table(
            "A title of many words that is much wider than one panel",
            "s",
            [],
            [RowResult.named("a", summary)],
            columns=["latency"],
        )
    )
    assert "\n" in figures[0].get_suptitle()
    assert figures[0].axes[0].get_title(loc="left") == "Latency at the start, ms"


def paper_table(name: str, **measured: DataFrame) -> Table:
    """A paper's figure as its YAML has it, with what was measured of some of its rows."""
    spec = read_table(name)
    rows = [RowResult(row, measured.get(row.name)) for row in spec.rows]
    return Table(spec.title, spec.source, spec.metrics, rows, columns=spec.columns, figure=spec.figure)


def hollow(panel) -> dict[str, list[list[float]]]:
    """The points of the paper's curves by colour, in the order they were drawn."""
    return {
        line.get_color(): line.get_xydata().tolist()
        for line in panel.lines
        if line.get_markerfacecolor() == "white" and line.get_linestyle() != "None" and line.get_linewidth() < 1
    }


def test_dacs_figure_3_is_the_papers_curve_before_anything_is_measured(figures) -> None:
    plot(paper_table("dac_figure3"))
    (panel,) = figures[0].axes
    assert panel.get_title(loc="left") == "MUSHRA"
    assert list(hollow(panel).values()) == [
        [[2.58, 43.7], [5.17, 63.8], [7.75, 68.6]],
        [[3.0, 23.1], [6.0, 33.3], [12.0, 39.8]],
    ]
    assert panel.lines[0].get_ydata()[0] == 82.2  # the reference, which has no bitrate, is a level
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["Reference", "DAC", "EnCodec"]
    assert legend.get_title().get_text() == "Hollow: published."


def test_what_the_paper_has_no_figure_of_has_a_panel_and_mushra_the_papers_curve(make_summary, figures) -> None:
    measured = make_summary(*(("all", rate, "si_sdr", rate, 0.1, 9, 0) for rate in (2.584, 7.752)))
    plot(paper_table("dac_figure3", DAC=measured))
    own, mushra = figures[0].axes
    assert own.get_title(loc="left") == "SI-SDR, dB ↑"
    assert not hollow(own)
    assert len(hollow(mushra)) == 2
    assert "95 % intervals. " in figures[0].legends[0].get_title().get_text()


def test_a_listening_test_of_this_suite_is_plotted_beside_the_papers_curve(make_summary, figures) -> None:
    cells = [("all", rate, name, 50.0, 3.0, 9, 0) for rate in (2.584, 7.752) for name in ("mushra", "si_sdr")]
    table = paper_table("dac_figure3", DAC=make_summary(*cells))
    table.full_size = True
    plot(table)
    panel = next(panel for panel in figures[0].axes if panel.get_title(loc="left") == "MUSHRA")
    (ours,) = (container.lines[0].get_xydata().tolist() for container in panel.containers)
    assert ours == [[2.584, 50.0], [7.752, 50.0]]
    assert [43.7, 63.8, 68.6] in [[y for _, y in points] for points in hollow(panel).values()]


@pytest.mark.parametrize(
    ("name", "domains", "row", "points"),
    [
        ("dac_figure5", ["speech", "music", "environment"], "DAC",
         [[51.6, 68.5, 74.2], [43.8, 63.7, 66.6], [35.7, 59.1, 65]]),
        ("encodec_figure3", ["clean speech", "noisy speech", "music set 1", "music set 2"], "EnCodec",
         [[49.2, 67, 83.1, 90.6], [41.3, 62.5, 69.4, 80.1], [68.2, 89.6, 92.9, 91.8], [66.5, 87.8, 91.3, 92.9]]),
    ],
)  # fmt: skip
def test_a_figure_of_categories_has_a_panel_for_each(figures, name, domains, row, points) -> None:
    plot(paper_table(name))
    assert [panel.get_title(loc="left") for panel in figures[0].axes] == [f"MUSHRA: {domain}" for domain in domains]
    lines = {line.get_label(): line for line in figures[0].axes[0].lines}
    drawn = [hollow(panel)[lines[row].get_color()] for panel in figures[0].axes]
    assert [[y for _, y in curve] for curve in drawn] == points


def test_dacs_figure_1_has_the_papers_entropies_before_anything_is_measured(figures) -> None:
    plot(paper_table("dac_figure1"))
    (panel,) = figures[0].axes
    assert [len(points) for points in hollow(panel).values()] == [9, 9, 11, 32]
    (legend,) = figures[0].legends
    assert legend.get_title().get_text() == "Hollow: published."
    assert legend.get_window_extent().x1 < figures[0].bbox.x1  # four rows below one panel


def test_a_picture_has_listeners_figures_and_none_of_settings(make_summary, figures) -> None:
    cells = [("all", rate, name, 2.0, 0.1, 9, 0) for rate in (1.5, 6.0) for name in ("si_sdr", "mushra", "stride")]
    one = RowResult.named("a", make_summary(*cells))
    plot(Table("t", "s", ["si_sdr"], [one], columns=["stride", "mushra"]))
    assert [panel.get_title(loc="left") for panel in figures[0].axes] == ["SI-SDR, dB ↑", "MUSHRA"]
