"""Markers are heard by who listens and cost nothing else; the timer of batches hears every part of a real step."""

import itertools

import lightning
import pytest

from codeclab.experiments.runs.build import build as build_fit
from codeclab.experiments.train import profiling
from codeclab.experiments.train.profiling import PARTS, BatchTimer, Parts, profile


@pytest.fixture
def rehearsal(tiny, tmp_path):
    """``rehearsal(recipe, callback, batches, **settings)``: a brief training of a tiny recipe, with the callback."""

    def train(recipe, callback, batches, **settings):
        cli = build_fit("fit", [*tiny(recipe, 1, **settings), f"--runs={tmp_path}", "--dry-run"])
        cli.brief_trainer(batches, callback).fit(cli.model, cli.datamodule)
        return cli

    return train


def test_a_part_inside_another_is_taken_out_of_it() -> None:
    moments = iter([0.0, 1.0, 4.0, 4.5])
    parts = Parts(lambda: next(moments))
    parts.enter("outer")
    parts.enter("inner")
    parts.leave()
    parts.leave()
    assert parts.seconds == {"outer": 1.5, "inner": 3.0}
    assert parts.take() == {"outer": 1.5, "inner": 3.0}
    assert parts.take() == {}


def test_markers_reach_a_listener_also_where_they_end_in_an_error() -> None:
    @profile("losses")
    def fail() -> None:
        raise ValueError("here")

    ticks = itertools.count()
    parts = Parts(lambda: float(next(ticks)))
    with profile("backward"):
        pass
    parts.start()
    with profile("backward"):
        pass
    with pytest.raises(ValueError, match="here"):
        fail()
    parts.stop()
    with profile("backward"):
        pass
    assert not parts.listens
    assert parts.seconds == {"rest": 3.0, "backward": 1.0, "losses": 1.0}
    assert next(ticks) == 6


@pytest.mark.parametrize(
    ("recipe", "order"), [("encodec_24khz", "discriminator_first"), ("dac_44khz", "joint"), ("encodec_24khz", "joint")]
)
def test_every_part_of_a_step_is_timed(recipe, order, rehearsal) -> None:
    timer = BatchTimer(apart_from=1)
    cli = rehearsal(recipe, timer, 3, model__update_order=order, model__adversarial_start=0)
    silent = set() if cli.model.balancer is not None else {"balancer"}
    shares = timer.shares()
    assert {part for part, share in shares.items() if share > 0} == {*PARTS, "rest"} - silent
    assert sum(shares.values()) == pytest.approx(1.0)
    assert sum(timer.parts.seconds.values()) == pytest.approx(sum(timer.worked[1:]), rel=0.01)
    assert len(timer.waited) == len(timer.worked) == len(timer.seconds) == 3
    assert not timer.parts.listens


def test_without_a_listener_no_clock_is_read(rehearsal, monkeypatch) -> None:
    monkeypatch.setattr(profiling, "now", lambda device=None: pytest.fail("a marker asked for the time"))
    monkeypatch.setattr(Parts, "enter", lambda self, part: pytest.fail("a marker was heard"))
    cli = rehearsal("encodec_24khz", lightning.Callback(), 1)
    assert cli.model.trainer.global_step == 1


def test_batches_are_timed_undisturbed_unless_they_are_taken_apart(rehearsal, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(profiling, "now", lambda device=None: float(len(calls.append(device) or calls)))
    timer = BatchTimer()
    rehearsal("encodec_24khz", timer, 2)
    # The start; then each batch's start, for which no device is waited for, and its end.
    assert [device is not None for device in calls] == [True, False, True, False, True]
    assert timer.waited == timer.worked == [1.0, 1.0]
    assert timer.parts.seconds == {}


def test_after_an_error_in_a_step_there_is_no_listener(rehearsal, monkeypatch) -> None:
    from codeclab.experiments.train.update import Update

    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Update, "teach", fail)
    timer = BatchTimer(apart_from=0)
    with pytest.raises(RuntimeError, match="out of memory"):
        rehearsal("encodec_24khz", timer, 1)
    assert timer.parts.seconds["codec forward"] > 0
    assert profiling._listener.get() is None
