"""The report page in headless Chromium, from disk: players play, switching keeps the position, sorting sorts."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pandas import DataFrame

from codeclab.benchmarks.evaluate.statistics import SUMMARY_COLUMNS
from codeclab.benchmarks.report import PlayedClip, Report, Stimulus, render
from codeclab.benchmarks.report.sound import opus, spectrogram
from codeclab.benchmarks.tables.row import RowResult
from codeclab.benchmarks.tables.table import Table

TONES = {"Original": 500.0, "A1": 1000.0, "A3": 1500.0, "B1": 2000.0}
HEARD = """
const player = document.querySelector('.player').player;
const analyser = new AnalyserNode(player.gains[0].context, { fftSize: 8192, smoothingTimeConstant: 0 });
player.gains.forEach((gain) => gain.connect(analyser));
const began = player.gains[0].context.currentTime;
const wait = () => {
  if (player.gains[0].context.currentTime < began + 0.25) return requestAnimationFrame(wait);
  const found = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(found);
  const rate = analyser.context.sampleRate;
  done([(found.indexOf(Math.max(...found)) * rate) / 8192, player.position, player.starts, player.chosen]);
};
wait();
"""


@pytest.fixture
def page(browser: Any, report: str, tmp_path: Path) -> Any:
    (tmp_path / "report.html").write_text(report, encoding="utf-8")
    browser.post("/url", {"url": (tmp_path / "report.html").as_uri()})
    return browser


@pytest.fixture(scope="module")
def report() -> str:
    table = Table(
        "Two codecs",
        "",
        ["si_snr"],
        [RowResult.named("A", scored(3.0, 12.0)), RowResult.named("B", scored(20.0, -4.0))],
    )
    names = {"Original": (None, None), "A1": ("A", 1.0), "A3": ("A", 3.0), "B1": ("B", 1.0)}
    versions = []
    for name, (row, kbps) in names.items():
        audio = 0.5 * torch.sin(2 * math.pi * TONES[name] * torch.arange(48000) / 24000)[None]
        versions.append(Stimulus(row, kbps, opus(audio, 24000), spectrogram(audio, 24000, 40.0)))
    clips = [PlayedClip(name, "music", 2.0, 24000, versions) for name in ("first", "second")]
    history = DataFrame({"step": [1, 2, 3], "train/mel": [3.0, 2.0, 1.0], "codebooks/usage_00": [0.1, 0.5, 1.0]})
    return render(Report(table, ["a note"], {"A": history}, clips))


def scored(low: float, high: float) -> DataFrame:
    rows = [("all", rate, "si_snr", mean, 0.5, 4, 0) for rate, mean in ((1.0, low), (3.0, high))]
    rows += [(domain, 1.0, "si_snr", low, 0.5, 4, 0) for domain in ("music", "speech")]
    return DataFrame(rows, columns=SUMMARY_COLUMNS)


def test_sorting_sorts_and_filtering_filters(page: Any) -> None:
    displayed = (
        "return [...document.querySelectorAll('#results tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.cells[0].textContent + r.cells[3].dataset.sort)"
    )
    head = "#results th:nth-child(4)"
    assert page.run(displayed) == ["A3", "A12", "B20", "B-4"]
    page.click(f"{head} button")
    assert page.run(displayed) == ["B-4", "A3", "A12", "B20"]
    assert page.run(f"return document.querySelector('{head}').ariaSort") == "ascending"
    page.click(f"{head} button")
    assert page.run(displayed) == ["B20", "A12", "A3", "B-4"]
    page.click(f"{head} button")
    page.type("#filter", "b")
    assert page.run(displayed) == ["B20", "B-4"]
    assert page.run("return document.querySelector('#count').textContent") == "2 of 8 lines"
    page.run("const s = document.querySelector('.domain'); s.value = 'speech'; s.dispatchEvent(new Event('change'))")
    assert page.run(displayed) == ["B20"]
    assert page.complaints() == []


def test_a_switch_changes_what_is_heard_and_nothing_else(page: Any) -> None:
    page.click(".player .play")
    page.wait("document.querySelector('.player').player.loading.then(() => done())")
    lengths = page.run("return document.querySelector('.player').player.buffers.map(buffer => buffer.duration)")
    assert lengths == pytest.approx([2.0] * 4, abs=0.02)
    positions, starts = [], set()
    for key, tone, chosen in (("", 500, 0), ("1", 1500, 2), ("\ue012", 1000, 1), ("\ue015", 2000, 3), ("0", 500, 0)):
        if key:
            page.key(key)
        heard, position, started, version = page.wait(HEARD)
        assert heard == pytest.approx(tone, abs=6)
        assert version == chosen
        pressed = (
            "return [...document.querySelectorAll('.player [data-version]')].findIndex(b => b.ariaPressed=='true')"
        )
        assert page.run(pressed) % 4 == chosen
        positions.append(position)
        starts.add(started)
    assert starts == {1}  # the sources run on: nothing was started anew
    assert all(0 <= one <= 2 for one in positions)
    assert page.complaints() == []


def test_one_player_at_a_time_and_space_pauses_where_it_is(page: Any) -> None:
    page.click(".player .play")
    page.wait("document.querySelector('.player').player.loading.then(() => done())")
    page.wait(HEARD)
    page.click(".player .original button")
    page.key(" ")
    states = "return [...document.querySelectorAll('.player')].map(p => [p.player.playing, p.player.position])"
    (playing, position), _ = page.run(states)
    assert not playing
    assert position > 0.1
    page.click(".player:nth-of-type(2) .play")
    page.wait("document.querySelectorAll('.player')[1].player.loading.then(() => done())")
    (first, restored), (second, _) = page.run(states)
    assert (first, second) == (False, True)
    assert restored == position
    assert page.complaints() == []


def test_rows_can_be_hidden_in_charts_and_a_phone_needs_no_sideways_scrolling(page: Any) -> None:
    line = "return document.querySelector('#curves svg [data-row=\"1\"]').style.display"
    assert page.run(line) == ""
    page.click("[data-toggles='1']")
    assert page.run(line) == "none"
    page.phone()
    assert page.run("return document.documentElement.scrollWidth") <= 375
    assert page.unnamed("button, input, select, img") == 0
    assert page.complaints() == []
