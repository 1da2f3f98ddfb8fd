"""The report page as text: what stands on it, that it needs no other file, and what its sound and pictures are."""

import io
import json
import math
import re

import av
import numpy as np
import pytest
import torch
from pandas import DataFrame
from PIL import Image

from codeclab.benchmarks.evaluate.statistics import SUMMARY_COLUMNS
from codeclab.benchmarks.report import PlayedClip, Report, Stimulus, render
from codeclab.benchmarks.report.chart import Series, chart
from codeclab.benchmarks.report.sound import BANDS, decibels, mel, opus, picture, spectrogram
from codeclab.benchmarks.tables.row import Figures, RowResult
from codeclab.benchmarks.tables.table import Table


def summary(scores: dict[tuple[str, float], float]) -> DataFrame:
    rows = [(domain, rate, "si_snr", mean, 0.5, 4, 0) for (domain, rate), mean in scores.items()]
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


@pytest.fixture(scope="module")
def table() -> Table:
    ours = summary({("all", 1.0): 2.0, ("all", 3.0): 10.0, ("music", 1.0): 1.0, ("speech", 1.0): 3.0})
    theirs = summary({("all", 1.0): -4.0, ("all", 3.0): 9.0})
    return Table(
        "A & B </script>",
        "a paper",
        ["si_snr"],
        [RowResult.named("A", ours, figures=[Figures({"si_snr": 6.5}, 3.0)]), RowResult.named("B", theirs)],
        ranked=True,
    )


def tone(hertz: float, seconds: float = 0.5, rate: int = 24000) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * rate)) / rate)[None]


def test_the_page_holds_everything_and_asks_for_nothing(table: Table) -> None:
    history = DataFrame({"step": [1, 2, 3], "train/mel": [3.0, 2.0, 1.0], "codebooks/usage_00": [0.1, 0.5, 1.0]})
    original = Stimulus(None, None, b"OggS", b"PNG")
    clip = PlayedClip("x", "music", 1.0, 24000, [original, Stimulus("A", 1.0, b"OggS2", b"PNG2")])
    page = render(Report(table, ["a note"], {"A": history}, [clip], ["one was left out"]))
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)|https?://|@import|url\(""", page)
    assert "A &amp; B &lt;/script&gt;" in page
    for part in ("results", "curves", "listen", "training", "codebooks"):
        assert f'<section id="{part}"' in page
    assert "a note" in page
    assert "one was left out" in page
    (content,) = re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)
    assert [version["name"] for version in json.loads(content)] == ["Original", "A, 1 kbps"]
    empty = render(Report(table))
    assert 'id="listen"' not in empty
    assert 'id="training"' not in empty


def test_the_table_says_what_to_sort_by_and_shows_published_figures_beside_ours(table: Table) -> None:
    page = render(Report(table))
    rows = re.findall(r"<tr data-domain=\"all\">(.*?)</tr>", page)
    assert [re.findall(r'data-sort="(.*?)"', row) for row in rows] == [
        ["A", "all clips", "1", "2", ""],
        ["A", "all clips", "3", "10", "6.5"],
        ["B", "all clips", "1", "-4", ""],
        ["B", "all clips", "3", "9", ""],
    ]
    assert "<strong>2.00" in rows[0]
    assert "<strong>" not in rows[1]  # its rival's interval meets its own
    assert 'data-domain="speech" hidden' in page


def test_a_chart_puts_octaves_of_bitrate_at_equal_distances_and_better_figures_higher() -> None:
    drawn = chart("t", [Series("A", 0, [(1, 0, math.nan), (2, 5, 1.0), (4, 10, math.nan)])], "kbps", rates=True)
    at = [tuple(map(float, match)) for match in re.findall(r"translate\(([\d.]+) ([\d.]+)\)", drawn)]
    assert at[1][0] - at[0][0] == pytest.approx(at[2][0] - at[1][0], abs=0.2)
    assert at[0][1] > at[1][1] > at[2][1]
    assert "A: 5 ± 1 at 2 kbps" in drawn


def test_published_figures_are_hollow_and_only_beside_ranked_rows(table: Table) -> None:
    assert render(Report(table)).count('class="mark published"') == 1
    assert 'class="mark published"' not in render(
        Report(Table(table.title, "", table.metrics, table.rows, ranked=False))
    )


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_keeps_the_length_and_is_what_another_decoder_reads(channels: int) -> None:
    audio = tone(440.0).expand(channels, -1)
    content = opus(audio, 24000)
    assert content == opus(audio, 24000)
    with av.open(io.BytesIO(content)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    decoded = np.concatenate(frames, axis=1).reshape(channels, -1) if frames[0].shape[0] == channels else None
    assert decoded is not None
    assert decoded.shape[1] == pytest.approx(24000, abs=1000)
    peak = np.abs(np.fft.rfft(decoded[0][:24000], 24000)).argmax()
    assert 2 * peak == pytest.approx(440, abs=4)  # half a second: bins of 2 Hz


def test_a_tone_is_brightest_at_its_height() -> None:
    power = decibels(tone(3000.0), 24000)
    assert (power.mean(axis=1).argmax() + 0.5) / BANDS == pytest.approx(mel(3000) / mel(12000), abs=1 / BANDS)
    pixels = np.asarray(Image.open(io.BytesIO(spectrogram(tone(3000.0), 24000, float(power.max())))).convert("L"))
    assert pixels.mean(axis=1).argmax() == pytest.approx(BANDS * (1 - mel(3000) / mel(12000)), abs=1.5)


def test_a_picture_keeps_the_order_of_its_values() -> None:
    image = Image.open(io.BytesIO(picture(np.array([[0.0, 0.5, 1.0, np.nan]]), "viridis"))).convert("L")
    dark, middle, bright, missing = np.asarray(image)[0].tolist()
    assert dark == missing < middle < bright
