"""``codeclab speed train --sweep``: each value in a process of its own, beside the machine's limits, and a plot."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from codeclab.discriminators.mpd import MultiPeriodDiscriminator
from codeclab.discriminators.msstft import MSSTFTDiscriminator
from codeclab.experiments.cli.speed import run
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import code_allowed, code_is_allowed
from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.speed import request, sweep
from codeclab.experiments.runs.speed.sweep import HEADER, Point, flags_of, measure_point
from codeclab.experiments.runs.speed.sweep_names import SWEEPS, UNITS
from codeclab.experiments.runs.speed.sweep_plot import plot_sweep

TINY = [
    *("--scale", "laptop", "--data", "synthetic", "--data.seconds", "0.2", "--data.batch_size", "1"),
    *("--data.workers", "0", "--model.discriminators", "[]", "--trainer.accelerator", "cpu"),
]
SMALL = [*TINY, "--model.encoder.n_filters", "2", "--model.decoder.n_filters", "2"]


def point(value: float, seconds: float = 0.1) -> Point:
    return Point(value, seconds, 0.9 * seconds, 1.2 * seconds, 1000 + value, int(2e9), int(1e9), 40e9, 20e9)


def test_a_line_has_rates_and_shares_of_what_the_machine_can_do() -> None:
    line = point(2).row()
    assert line == "| 2 | 100.0 | 90.0 to 120.0 | 1002 | 2 | 20 | 50 % | 1 | 10 | 50 % |"
    assert {row.count("|") for row in HEADER.format(name="batch").splitlines()} == {line.count("|")}


def test_each_sweep_sets_what_it_says() -> None:
    assert set(SWEEPS) == set(UNITS)
    assert flags_of("batch", 4.0, ["--x"]) == ["--x", "--data.batch_size", "4"]
    assert flags_of("seconds", 0.25, []) == ["--data.seconds", "0.25"]
    bare = ["--config", "encodec_24khz", *SMALL]
    both = ["--model.encoder.channels", "2", "--model.decoder.channels", "2"]
    assert flags_of("channels", 2, bare) == [*bare, *both]
    with pytest.raises(RecipeError, match="--sweep batch: 1.5 should be a whole number"):
        flags_of("batch", 1.5, [])


def test_channels_are_those_of_the_discriminators_too() -> None:
    recipe = ["--config", "encodec_24khz", "--scale", "laptop"]
    recipe += ["--model.discriminators+=MultiPeriodDiscriminator", "--dry-run"]
    cli = build("fit", flags_of("channels", 2, recipe))
    kinds = (MSSTFTDiscriminator, MultiPeriodDiscriminator)
    parts = [part for part in cli.model.discriminators.modules() if isinstance(part, kinds)]
    assert {type(part) for part in parts} == set(kinds)
    assert {part.channels for part in parts} == {2}


def test_codebooks_take_the_bitrates_along_where_a_recipe_fixes_them() -> None:
    words = flags_of("codebooks", 8, ["--config", "encodec_24khz", *SMALL])
    after = dict(zip(words, words[1:], strict=False))
    assert after["--model.quantizer.n_codebooks"] == "8"
    assert after["--model.bitrate"] == "6.0"
    assert after["--model.bitrates"] == after["--model.rate_sampling.bitrates"] == "[6.0]"


@pytest.mark.parametrize(("name", "value"), [("codebooks", 2.0), ("channels", 2.0)])
def test_a_point_is_measured(name: str, value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = measure_point(name, value, ["--config", "encodec_24khz", *SMALL, "--trainer.precision", "32-true"], 2)
    assert result.value == value
    assert 0 < result.q25 <= result.median <= result.q75
    assert result.peak_mb > 100
    assert 1e6 < result.flop < 1e12
    assert result.bytes > 1e6
    assert not list(tmp_path.iterdir())


def test_a_sweep_prints_a_table_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot, out = tmp_path / "sweep.svg", tmp_path / "sweep.md"
    words = ["--sweep", "batch", "--values", "1", "--plot", str(plot), "-o", str(out), "--repeats", "1"]
    assert run("speed", ["train", "--config", "encodec_24khz", *SMALL, *words, "--threads", "1"]) == 0
    printed = capsys.readouterr()
    assert out.read_text() == printed.out
    (line,) = [row for row in printed.out.splitlines() if re.match(r"\| 1 \|", row)]
    assert line.count("|") == HEADER.splitlines()[0].count("|")
    assert re.search(r"a product of 2,048 x 2,048 in float32 reaches \d+ GFLOP/s here, a copy [\d.]+ GB/s", printed.out)
    assert plot.read_text().startswith("<?xml")
    assert f"drawn in {plot}" in printed.err


def test_a_value_that_cannot_be_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("speed", ["train", "--config", "no_such_recipe", "--sweep", "batch", "--values", "3"]) == 2
    message = capsys.readouterr().err
    assert "--sweep batch at 3: " in message
    assert "no_such_recipe" in message


def test_discriminators_that_join_later_are_said_and_values_are_in_order(monkeypatch, capsys) -> None:
    measured_values: list[float] = []

    def measured(name, values, *others) -> list[Point]:
        measured_values.extend(values)
        return [
            replace(point(value), joining_at={"quantizer_start": 300, "adversarial_start": 375}) for value in values
        ]

    monkeypatch.setattr(request, "sweep", measured)
    assert run("speed", ["train", "--config", "dac_44khz", "--sweep", "seconds", "--values", "2", "0.5", "2"]) == 0
    assert measured_values == [0.5, 2]
    text = capsys.readouterr().out
    assert text.count("the quantizer joins at batch 300: it has no part in this; --model.quantizer_start 0 ") == 1
    assert text.count("discriminators join at batch 375: they have no part in this") == 1


def test_a_points_process_may_run_what_the_command_may(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    out = json.dumps(asdict(point(1)))
    monkeypatch.setattr(
        sweep.subprocess,
        "run",
        lambda words, **_: started.append(words) or SimpleNamespace(returncode=0, stdout=out),
    )
    sweep.sweep("batch", [1], ["--config", "runs/theirs"], 1, None)
    with code_allowed():
        sweep.sweep("batch", [1], ["--config", "runs/theirs"], 1, None)
    assert ["--run-code" in words for words in started] == [False, True]
    let: list[bool] = []
    monkeypatch.setattr(sweep, "measure_point", lambda *_: let.append(code_is_allowed()) or point(1))
    for words in started:
        sweep.main(words[words.index("codeclab.experiments.runs.speed.sweep") + 1 :])
    assert let == [False, True]


def test_both_kinds_of_plot() -> None:
    points = [point(1), point(2, 0.15)]
    assert plot_sweep("batch", points, "A step", "png").startswith(b"\x89PNG")
    assert b"<svg" in plot_sweep("codebooks", points[:1], "A step", "svg")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "--sweep", "batch"], "--sweep is for speed train, not for speed data"),
        (["train", "--values", "1"], "--values and --plot need --sweep (batch, seconds, channels, codebooks)"),
        (["train", "--plot", "a.svg"], "--values and --plot need --sweep"),
        (["train", "--sweep", "batch", "--values", "0"], "--values should be above 0"),
        (["train", "--sweep", "batch", "--plot", "a.pdf"], "--plot a.pdf: the name should end in .png or .svg"),
    ],
)
def test_options_that_do_not_fit_are_refused(words, message, capsys, monkeypatch) -> None:
    monkeypatch.setattr(request, "sweep", lambda *given: pytest.fail("something was measured"))
    assert run("speed", words) == 2
    assert message in capsys.readouterr().err
