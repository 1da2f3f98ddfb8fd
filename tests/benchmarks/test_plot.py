import io
import math

import pytest
from matplotlib.image import imread

from codeclab.benchmarks import plot as module
from codeclab.benchmarks.plot import plot
from codeclab.benchmarks.table import Row, Table


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


def row(make_summary, name: str, *bitrates: float) -> Row:
    cells = [("all", b, "si_sdr", b / 2, 0.25, 9, 0) for b in bitrates]
    return Row(name, make_summary(*cells, ("all", bitrates[0], "mel_distance", math.nan, math.nan, 0, 9)))


def test_quality_against_bitrate(make_summary, figures) -> None:
    rows = [row(make_summary, "a", 6.0, 1.5), row(make_summary, "b", 3.0), Row("broken", error="no")]
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
    plot(Table("t", "s", ["si_sdr"], [Row("a", None, {"si_sdr": 1.0})]))
    assert figures[0].texts[0].get_text() == "nothing was measured"
