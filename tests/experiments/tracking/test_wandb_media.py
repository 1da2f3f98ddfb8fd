"""What W&B gets beside figures: clips with spectrograms, and a whole table."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from codeclab.benchmarks.tables.row import Figures, RowResult
from codeclab.benchmarks.tables.table import Table
from codeclab.experiments.cli import dashboard
from codeclab.experiments.runner.wandb_table import log_table
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.samples import COLUMNS, GAP, ROWS, SaveSamples, levels, spectrogram_image
from codeclab.experiments.tracking import wandb_workspace
from codeclab.experiments.train.logs import Throughput
from codeclab.experiments.train.validation import spread_rates


def tone(hertz, seconds=1.0, rate=24000):
    return torch.sin(2 * torch.pi * hertz * torch.arange(int(seconds * rate)) / rate)[None] * 0.5


def test_a_tone_is_at_its_frequency_and_the_difference_shows_the_louder_one():
    low, high = levels(tone(3000)), levels(tone(9000))
    assert abs(int(low.mean(1).argmax()) - 3000 / 12000 * ROWS) <= 1
    assert abs(int(high.mean(1).argmax()) - 9000 / 12000 * ROWS) <= 1
    image = spectrogram_image(tone(3000), tone(9000))
    assert image.shape == (ROWS, 3 * COLUMNS + 2 * GAP, 3)
    panels = [image[:, start : start + COLUMNS].astype(int) for start in (0, COLUMNS + GAP, 2 * (COLUMNS + GAP))]
    brightest = [int(panel.sum(2).mean(1).argmax()) for panel in panels[:2]]
    assert brightest[0] == pytest.approx(ROWS * 3 / 4, abs=2), "3 kHz of 12, from the bottom"
    assert brightest[1] == pytest.approx(ROWS / 4, abs=2)
    lost, added = panels[2][brightest[0]].mean(0), panels[2][brightest[1]].mean(0)
    assert lost[2] > lost[0] + 50, "what is lost is blue"
    assert added[0] > added[2] + 50, "what was added is red"


def test_a_perfect_reconstruction_has_a_blank_difference():
    image = spectrogram_image(tone(3000), tone(3000))
    assert np.ptp(image[:, 2 * (COLUMNS + GAP) :].reshape(-1, 3), axis=0).max() == 0
    assert np.array_equal(image[:, :COLUMNS], image[:, COLUMNS + GAP : 2 * COLUMNS + GAP])


def test_clips_go_to_wandb_ten_times_at_most_and_at_the_end(tmp_path):
    long = SaveSamples(RunFolder(tmp_path), every=1000, steps=300_000)
    due = [step for step in range(1000, 300_001, 1000) if long.is_due(step)]
    assert due == list(range(30_000, 300_001, 30_000))
    short = SaveSamples(RunFolder(tmp_path), every=90, steps=360)
    assert [step for step in (90, 180, 270, 360) if short.is_due(step)] == [90, 180, 270, 360]
    assert SaveSamples(RunFolder(tmp_path), every=50, steps=20).is_due(20)


def test_rates_are_spread_from_the_lowest_to_the_highest():
    assert spread_rates([1.5, 3.0, 6.0, 12.0, 24.0]) == [1.5, 3.0, 6.0, 12.0, 24.0]
    assert spread_rates([float(k) for k in range(1, 10)]) == [1.0, 3.0, 5.0, 7.0, 9.0]
    assert spread_rates([6.0]) == [6.0]


def test_the_wait_for_data_is_separate_from_work_and_validation_counts_as_neither():
    times = iter([0.0, 1.0, 4.0, 4.0, 5.0, 100.0, 101.0, 104.0])
    clock = Throughput(lambda: next(times))
    assert clock.read() == {}
    clock.fetch()  # 0
    clock.begin()  # 1: waited 1 s
    clock.end(8)  # 4: worked 3 s
    clock.fetch()  # 4
    assert clock.read() == {
        "speed/items_per_second": 2.0,
        "speed/batches_per_second": 0.25,
        "speed/data_wait_share": 0.25,
    }
    clock.begin()  # 5
    clock._mark = None
    clock.fetch()  # 100, after a validation
    clock.begin()  # 101: waited 1 s more
    clock.end(8)  # 104
    assert clock.read()["speed/items_per_second"] == 8 / 5


def table_of(name="A row"):
    summary = pd.DataFrame(
        [
            {"bitrate_kbps": rate, "domain": "all", "metric": "si_snr", "mean": mean, "ci95": 0.1, "n": 3, "failed": 0}
            for rate, mean in ((1.5, 2.5), (6.0, 4.5))
        ]
    )
    row = RowResult.named(name, summary, published={"si_snr": 6.0, "mushra": "91"}, bitrate=6.0, wall_seconds=12.0)
    lost = RowResult.named("Another", figures=[Figures({"mushra": 50.0})], error="it failed")
    return Table("A title", "A paper", ["si_snr"], [row, lost])


def test_a_table_that_cannot_be_logged_is_made_all_the_same(tmp_path, monkeypatch, capsys):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")

    def fail(*args):
        raise RuntimeError("no disk")

    monkeypatch.setattr("codeclab.experiments.runner.wandb_table.start_run", fail)
    log_table(table_of(), {}, tmp_path)
    assert "the table is not logged there: RuntimeError: no disk" in capsys.readouterr().err


def test_the_dashboard_says_what_is_missing(monkeypatch, capsys, tmp_path):
    assert dashboard.run("dashboard", ["codeclab"]) == 2
    assert "'codeclab' should be ENTITY/PROJECT" in capsys.readouterr().err
    monkeypatch.setattr(wandb_workspace.importlib.util, "find_spec", lambda name: None)
    assert dashboard.run("dashboard", ["me/codeclab"]) == 1
    assert "pip install 'codeclab[dashboard]'" in capsys.readouterr().err
    monkeypatch.setattr(wandb_workspace.importlib.util, "find_spec", lambda name: SimpleNamespace())
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert dashboard.run("dashboard", ["me/codeclab"]) == 1
    assert "run `wandb login`" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # wandb-workspaces' own
def test_the_workspace_groups_runs_by_short_names_over_batches():
    workspace = wandb_workspace.make_workspace("me", "codeclab", "codecs", ["quantizer", "discriminators"])
    sent = workspace._to_model().model_dump_json(by_alias=True)
    # W&B's own path to a setting: config, its key, its value.
    assert '"grouping":[{"section":"config","name":"quantizer.value"},{"section":"config","name":"discrim' in sent
    for key in ("train/score_real", "valid/mel_distance", "codebooks/perplexity_.*", "speed/data_wait_share", "batch"):
        assert key in sent
    assert "wandb_workspaces" in sys.modules
