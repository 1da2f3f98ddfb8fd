"""The plan of a table: which batches are timed, how long and how large it says the rows will be."""

import copy
import json
from pathlib import Path

import pytest

from codeclab.benchmarks.tables.row import RowSpec
from codeclab.experiments.runner import timing
from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runner.plan import describe_plan, longest_first, makespan
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runner.timing import architecture, batch_seconds, time_batch
from codeclab.experiments.train import profiling


class Clock:
    """Makes each training step last as long as a function of its items says, without waiting."""

    def __init__(self, model, monkeypatch: pytest.MonkeyPatch, seconds_of) -> None:
        self.time, self.items, step = 0.0, [], model.training_step

        def timed(batch, batch_idx: int) -> None:
            self.items.append(len(batch["audio"]))
            self.time += seconds_of(len(batch["audio"]))
            step(batch, batch_idx)

        monkeypatch.setattr(model, "training_step", timed)
        monkeypatch.setattr(profiling, "now", lambda device=None: self.time)


@pytest.fixture
def planned(tiny, tmp_path: Path):
    from codeclab.experiments.runs.build import build

    def built(*extra: str):
        return build("fit", [*tiny("encodec_24khz", 1), f"--runs={tmp_path}", "--dry-run", *extra])

    return built


def test_whole_batches_are_timed_where_they_are_affordable(planned, monkeypatch, tmp_path: Path) -> None:
    cli = planned()
    clock = Clock(cli.model, monkeypatch, lambda items: 0.1 + 0.2 * items)
    assert time_batch(cli, 4) == pytest.approx(0.9)
    assert clock.items == [1, 1, 4, 4, 4, 4, 4]
    assert not list(tmp_path.iterdir())


def test_of_larger_batches_one_item_is_timed(planned, monkeypatch) -> None:
    cli = planned()
    clock = Clock(cli.model, monkeypatch, lambda items: 2.0 * items)
    assert time_batch(cli, 4) == pytest.approx(8.0)
    assert clock.items == [1, 1]


def test_a_timing_is_kept_by_what_a_batch_costs(planned, monkeypatch, tmp_path: Path) -> None:
    cli = planned()
    key = architecture(cli.settings)
    Clock(cli.model, monkeypatch, lambda items: 0.5)
    assert batch_seconds(cli, tmp_path) == pytest.approx(0.5)
    monkeypatch.setattr(timing, "time_batch", lambda *_: pytest.fail("timed again"))
    same = copy.deepcopy(cli.settings)
    same["trainer"]["max_steps"], same["seed_everything"], same["model"]["weights"]["feature"] = 99, 7, 0.3
    same["model"]["optimizer"]["lr"] = 1.0
    assert architecture(same) == key
    assert batch_seconds(cli, tmp_path) == pytest.approx(0.5)
    for other in ({"weights": {**same["model"]["weights"], "feature": 0.0}}, {"accumulate": 2}):
        assert architecture({**same, "model": {**same["model"], **other}}) != key
    timings = tmp_path / timing.TIMINGS
    timings.write_text("half a file")
    monkeypatch.setattr(timing, "time_batch", lambda *_: 3.0)
    assert batch_seconds(cli, tmp_path) == 3.0
    assert list(json.loads(timings.read_text()).values()) == [3.0]


def test_what_cannot_be_timed_is_left_to_training_to_report(planned, monkeypatch, tmp_path: Path) -> None:
    cli = planned()

    def full(batch, batch_idx: int) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(cli.model, "training_step", full)
    assert batch_seconds(cli, tmp_path) is None


def job(name: str, runs: Path) -> Job:
    return Job(TableSpec("t", "T", "", [RowSpec(name)]), name, str(runs), {}, steps=100)


def test_the_plan_adds_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3 * 2**30})())
    first = Draft(RowSpec("First"), [job("a", tmp_path), job("a-seed1", tmp_path)], [100, 40], 30.0, 2**30)
    second = Draft(RowSpec("Second one"), [job("b", tmp_path)], [100], 60.0, 2**30)
    drafts = [first, second, Draft(RowSpec("Bad"), error="no such part"), Draft(RowSpec("P", only_published=True))]
    lines = describe_plan(drafts, tmp_path / "not yet" / "there", [], elsewhere=False).splitlines()
    assert lines[:4] == [
        "  First       2 seeds, 140 of 200 batches, about 1 h 10 min",
        "  Second one  100 batches, about 1 h 40 min",
        "  Bad         cannot be made: no such part",
        "  P           the paper's figures only",
    ]
    assert lines[4].startswith("  training takes about 2 h 50 min on ")
    # Three runs of a GiB, and half of one for the checkpoint that is written beside the old.
    assert lines[5] == "  disk: about 3.5 GiB needed, 3.0 GiB free: NOT ENOUGH, rows will fail when it is full"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    beside = describe_plan(drafts, tmp_path, [None, None], elsewhere=False)
    assert "takes about 1 h 40 min on this machine's CPU, 2 rows at a time in 3 threads each;" in beside
    assert "takes about 1 h 40 min on" in describe_plan(drafts, tmp_path, ["0", "1"], elsewhere=False)
    shared = describe_plan(drafts, tmp_path, ["0", "0"], elsewhere=False)
    assert "takes at most about 2 h 50 min on" in shared
    assert ", 2 rows at a time" in shared
    untimed = Draft(RowSpec("C"), [job("c", tmp_path)], [100])
    assert "not timed here" in describe_plan([untimed], tmp_path, [], elsewhere=True)


def test_long_rows_come_first_and_the_plan_knows_when_the_last_one_ends(tmp_path: Path) -> None:
    drafts = [
        Draft(RowSpec("Measured"), [job("m", tmp_path)], [0]),
        Draft(RowSpec("Short"), [job("s0", tmp_path), job("s1", tmp_path)], [100, 100], 1.0),
        Draft(RowSpec("Long"), [job("l", tmp_path)], [100], 3.0),
        Draft(RowSpec("Untimed"), [job("u", tmp_path)], [100]),
    ]
    assert [made.name for made in longest_first(drafts)] == ["l", "s0", "s1", "m", "u"]
    # 300 beside 100 + 100, not 100 + 300 beside 100; three of equal length take two rounds on two cores.
    assert makespan([100, 100, 300], 2) == 300
    assert makespan([60, 60, 60], 2) == 120
    assert makespan([60, 60, 60], 5) == 60
    assert makespan([5, 4, 3, 3, 3], 1) == 18
