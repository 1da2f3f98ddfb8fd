"""A listening test from end to end: prepared, taken in headless Chromium by scripted listeners, analysed."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from codeclab.benchmarks.evaluate.codes import CodeStatistics
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.listening.design import ListeningTest
from codeclab.benchmarks.listening.server import RatingsServer
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.folder import identity
from codeclab.experiments.cli.mushra import run
from codeclab.experiments.runs.measure.evaluate import data_of

READY = "const ready = () => (steps.trial ? done(true) : requestAnimationFrame(ready)); ready();"
"""Waits for a page with its sounds."""

LISTEN = """
const trial = steps.trial;
const listen = (place) => {
  if (place === trial.names.length) return done(Object.keys(trial.kept.heard).length);
  trial.choose(place);
  const wait = () => (trial.wasHeard(place) ? listen(place + 1) : requestAnimationFrame(wait));
  wait();
};
if (!trial.deck.playing) trial.deck.toggle();
listen(0);
"""
"""Hears every version for as long as it takes."""

RATE = """
const scores = %s;
steps.trial.sliders.forEach((slider, index) => {
  slider.value = scores[steps.trial.order[index]] ?? 50;
  slider.dispatchEvent(new Event("input"));
});
const before = steps.trial;
document.querySelector(".next").click();
const wait = () => {
  if (steps.trial && steps.trial !== before) return done("page");
  if (document.querySelector(".told")?.textContent.startsWith("All pages")) return done("end");
  requestAnimationFrame(wait);
};
wait();
"""
"""Rates every version, and goes on to the next page or to the end."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test of a run at two bitrates, made by the command."""
    folder = tmp_path_factory.mktemp("mushra")
    codec = Codec.from_recipe("encodec_24khz", scale="laptop").eval()
    home = folder / "runs" / "mine"
    codec.save(home / "codec")
    (home / "config.yaml").write_text("data:\n  folder: null\n")
    per_file = [
        {"name": clip.name, "domain": clip.domain, "seconds": clip.seconds, "bitrate_kbps": rate}
        | {"n_codebooks": codec.n_codebooks_for(rate), "si_snr": 1.0, "failures": ""}
        for clip in data_of(home, None, codec).clips("test")[:3]
        for rate in (1.5, 24.0)
    ]
    info = {"metrics": ["si_snr"], "sample_rate": 24000, "codec": identity(codec)}
    codes = CodeStatistics(codec.quantizer.codebook_sizes).table()
    Evaluation(pd.DataFrame(per_file), codes, info).save(home / "evaluation")
    words = [str(home), "-o", str(folder / "test"), "--clips", "1", "--seconds", "1", "--listen", "0.05"]
    assert run("mushra", ["prepare", *words, "--title", "How good?", "--device", "cpu"]) == 0
    return folder / "test"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with RatingsServer(folder, report=lambda line: None) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.address
        server.shutdown()
        thread.join()


def scores(folder: Path, *by_condition: float) -> str:
    """Ratings by stimulus of a listener to whom all pages are alike."""
    pages = ListeningTest.load(folder).pages
    return json.dumps({name: by_condition[condition] for page in pages for name, condition in page.stimuli.items()})


def opened(browser: Any, address: str) -> None:
    """The page, as a browser shows it that was never here."""
    browser.post("/url", {"url": address})
    browser.run("localStorage.clear()")
    browser.post("/refresh", {})


def take(browser: Any, address: str, rated: str) -> None:
    """Take the whole test from the welcome on."""
    browser.post("/url", {"url": address})
    if browser.run("return document.querySelector('.afresh') !== null"):
        browser.click(".afresh")
    browser.click(".begin .next")
    reached = "page"
    while reached == "page":
        browser.wait(READY)
        browser.wait(LISTEN)
        reached = browser.wait(RATE % rated)


def test_a_page_is_left_only_when_all_was_heard_and_rated_and_comes_back_after_a_reload(
    browser: Any, folder: Path
) -> None:
    opened(browser, (folder / "listen" / "index.html").as_uri())
    browser.click(".volume .play")
    browser.wait(
        "const b = document.querySelector('.volume .play'); const wait = () => (b.ariaPressed === 'true' ? done(1) "
        ": requestAnimationFrame(wait)); wait();"
    )
    browser.type("input[type=text]", "Zoë")
    browser.click(".begin .next")
    browser.wait(READY)
    assert browser.run("return document.querySelector('h2').textContent") == "Practice"
    missing = "return document.querySelector('.missing').textContent"
    browser.click(".next")
    assert browser.run(missing) == "Still to do: listen to the reference, A, B, C, D; rate A, B, C, D."
    browser.key("c")
    browser.key("\ue013")
    assert browser.run(missing) == "Listen to C before you rate it."
    browser.wait(LISTEN)
    browser.click(".next")
    assert browser.run(missing) == "Still to do: rate A, B, C, D."
    assert browser.wait(RATE % "{}") == "page"

    assert browser.run("return document.querySelector('h2').textContent") == "Page 1 of 3"
    browser.wait(LISTEN)
    browser.key("b")
    for key in ("\ue013", "\ue013", "\ue015"):  # up, up, down
        browser.key(key)
    script = "return steps.trial.order.map((name) => steps.trial.kept.ratings[name] ?? null)"
    assert browser.run(script) == [None, 51, None, None]
    order = browser.run("return steps.trial.order")
    listener = browser.run("return steps.state.listener")
    assert browser.run("return document.activeElement.getAttribute('aria-valuetext')") == "51, fair"
    browser.post("/refresh", {})
    assert "You have done 0 of 3 pages; 3 are left" in browser.run(
        "return document.querySelector('.where').textContent"
    )
    browser.click(".next")
    browser.wait(READY)
    assert browser.run(script) == [None, 51, None, None]
    assert browser.run("return [steps.trial.order, steps.state.listener, steps.state.name]") == [order, listener, "Zoë"]
    assert browser.complaints() == []


def test_a_switch_keeps_the_instant_and_a_part_is_heard_again_and_again(browser: Any, folder: Path) -> None:
    opened(browser, (folder / "listen" / "index.html").as_uri())
    browser.click(".begin .next")
    browser.wait(READY)
    browser.key(" ")
    browser.wait(LISTEN)
    assert browser.run("return [steps.trial.deck.playing, steps.trial.deck.starts, steps.trial.deck.chosen]") == [
        True,
        1,
        4,
    ]
    browser.key("r")
    browser.key("a")
    pressed = "return [...document.querySelectorAll('[data-version]')].map((b) => b.ariaPressed).indexOf('true')"
    assert browser.run(pressed) == 1
    assert browser.run("return steps.trial.deck.starts") == 1
    # The second half alone, from where it is, or from its beginning; its ends are faded.
    browser.run("steps.trial.deck.mark(0.5, 0.75)")
    assert browser.run("return steps.trial.deck.buffers.map((buffer) => buffer.duration)") == pytest.approx(
        [0.25] * 5, abs=1e-3
    )
    ends = "const samples = steps.trial.deck.buffers[1].getChannelData(0); return [samples[0], samples.at(-1)]"
    assert browser.run(ends) == [0, 0]
    heard = browser.wait(
        "const deck = steps.trial.deck; const places = []; const began = Switch.context.currentTime;"
        "const look = () => { places.push(deck.place);"
        "if (Switch.context.currentTime < began + 0.4) return requestAnimationFrame(look);"
        "done([Math.min(...places), Math.max(...places), deck.starts]); }; look();"
    )
    assert 0.5 <= heard[0] < heard[1] <= 0.75
    assert heard[2] == 2
    browser.key("\ue00c")  # Escape
    assert browser.run("return [steps.trial.deck.from, steps.trial.deck.to]") == [0, 1]
    browser.key(" ")
    browser.drag(".wave", 0.7, 0.4)
    assert browser.run("return [steps.trial.deck.from, steps.trial.deck.to]") == pytest.approx([0.4, 0.7], abs=0.002)
    browser.drag(".wave", 0.6, 0.6)
    assert browser.run("return steps.trial.deck.place") == pytest.approx(0.6, abs=0.002)
    browser.drag(".wave", 0.4, 0.2)  # by its handle
    assert browser.run("return [steps.trial.deck.from, steps.trial.deck.to]") == pytest.approx([0.2, 0.7], abs=0.01)
    browser.click(".whole")
    assert browser.run("return [steps.trial.deck.from, steps.trial.deck.to]") == [0, 1]
    browser.key("a")
    browser.key("\ue006")  # Enter, on the slider of A, takes its rating as it stands
    assert browser.run("return Object.values(steps.trial.kept.ratings)") == [50]
    browser.phone()
    assert browser.run("return document.documentElement.scrollWidth") <= 375
    assert browser.unnamed("button, input, a") == 0
    browser.phone(None)
    assert browser.complaints() == []


def test_listeners_hear_pages_and_versions_each_in_an_order_of_her_own(browser: Any, folder: Path) -> None:
    browser.post("/url", {"url": (folder / "listen" / "index.html").as_uri()})
    orders = browser.run(
        "const ids = [...Array(24).keys()].map((n) => n.toString(16).padStart(16, '0'));"
        "return ids.map((id) => Order.pages(steps.test, id).map((page) => page.id + Order.stimuli(page, id)))"
    )
    assert len({tuple(order) for order in orders}) == 24
    assert len({page[:12] for order in orders for page in order}) == 3
    firsts = {order[0][:12] for order in orders}
    assert len(firsts) == 3
    again = browser.run("return Order.pages(steps.test, '0'.repeat(16)).map((page) => page.id)")
    assert again == [page[:12] for page in orders[0]]
    shares = browser.run(
        "const pages = [...Array(12).keys()].map((n) => ({ id: n, clip: n, kind: n % 3, stimuli: [] }));"
        "return ['a', 'b', 'c', 'd'].map((id) => Order.pages({ pages, clips: 6 }, id).map((page) => page.kind).sort())"
    )
    assert shares == [[0, 0, 1, 1, 2, 2]] * 4


def test_scripted_listeners_one_of_whom_is_screened_out(
    browser: Any, folder: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # One takes the page from disk and sends her file; two take it from the server, one of them hearing nothing.
    opened(browser, (folder / "listen" / "index.html").as_uri())
    take(browser, (folder / "listen" / "index.html").as_uri(), scores(folder, 100, 10, 40, 80))
    assert "Save your ratings as a file" in browser.run("return document.querySelector('.told').textContent")
    link = browser.run("const a = document.querySelector('.save'); return [a.hidden, a.download, a.href.split(':')[0]]")
    content = browser.run("return steps.file()")
    mailed = json.loads(content)
    assert link == [False, f"ratings-{mailed['test']}-{mailed['listener']}.json", "blob"]
    (folder / "ratings" / link[1]).write_text(content)
    take(browser, address, scores(folder, 95, 20, 60, 90))
    assert "your ratings have arrived" in browser.run("return document.querySelector('.told').textContent")
    assert browser.run("return document.querySelector('.save').hidden")
    take(browser, address, scores(folder, 50, 90, 70, 70))
    assert browser.complaints() == []
    files = [json.loads(path.read_text()) for path in (folder / "ratings").iterdir()]
    assert len({one["listener"] for one in files}) == len(files) == 3
    assert all(page["seconds"] > 0 for one in files for page in one["pages"])

    assert run("mushra", ["analyse", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "rated 3 of 3 hidden references below 90 and rated 3 of 3 low anchors above 80" in printed
    assert "2 listeners, 1 screened out; 24 ratings, 2 of each stimulus." in printed
    # 40, 40, 40, 60, 60, 60: the deviation is a root of 120, t(0.975, 5) is 2.570582; the listeners' means 40 and 60.
    assert "| mine, 1.5 kbps | 1.5 | 50.0 ± 11.5 | ± 127.1 |" in printed
    assert "| mine, 24 kbps | 24 | 85.0 ± 5.7 | ± 63.5 |" in printed
    # All six differences are below zero: p is 2 / 2^6.
    assert "| mine, 1.5 kbps | mine, 24 kbps | -35.0 ± 5.7 | 6 | 0.0312 | 0.0312 | mine, 24 kbps |" in printed
    figures = json.loads((folder.parent / "runs" / "mine" / "mushra.json").read_text())["figures"]
    assert [one["mean"] for one in figures if one["domain"] == "all"] == [50.0, 85.0]
