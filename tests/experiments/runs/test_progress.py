"""What a log shows of a run: the first line after ten batches, then one every two minutes, and the last."""

from types import SimpleNamespace

from codeclab.experiments.runs.progress import RunProgress, pace
from codeclab.experiments.train.logs import TrainingLogs


def run(tmp_path, capsys, seconds, total, logs=None, start=0.0):
    """Lines that a run of so many batches of so many seconds each writes, the first taking ``start`` more."""
    now = [0.0]
    folder = SimpleNamespace(path=tmp_path / "run")
    progress = RunProgress(folder, logs, clock=lambda: now[0])
    progress.bar.disable = True
    trainer = SimpleNamespace(
        is_global_zero=True, global_step=0, max_steps=total, progress_bar_metrics={"spectral": 1.5}
    )
    progress.on_train_start(trainer, None)
    for step in range(1, total + 1):
        trainer.global_step = step
        now[0] += seconds + (start if step == 1 else 0.0)
        progress.on_train_batch_end(trainer, None, None, None, 0)
    return capsys.readouterr().err.splitlines()


def test_lines_come_by_time(tmp_path, capsys):
    lines = run(tmp_path, capsys, 0.5, 1000)
    assert lines[0] == "run: batch 10/1000, 2 batches/s, 5 s spent, 8 min 15 s left, spectral 1.5"
    assert [line.split(",")[0] for line in lines] == [
        f"run: batch {step}/1000" for step in (10, 250, 490, 730, 970, 1000)
    ]  # fmt: skip


def test_what_is_done_once_is_not_taken_for_a_batch(tmp_path, capsys):
    lines = run(tmp_path, capsys, 0.5, 1000, start=30.0)
    assert lines[0] == "run: batch 10/1000, 2 batches/s, 35 s spent, 8 min 15 s left, spectral 1.5"


def test_slow_batches_have_a_line_each_two_minutes(tmp_path, capsys):
    lines = run(tmp_path, capsys, 90.0, 5)
    assert [line.split(",")[0] for line in lines] == [f"run: batch {step}/5" for step in (2, 4, 5)]
    assert "90 s/batch" in lines[0]


def test_all_losses_are_shown_on_demand(tmp_path, capsys):
    logs = TrainingLogs()
    logs.latest = {"train/waveform": 0.25, "train/commitment": 2.0, "speed/items_per_second": 9.0}
    (line, _) = run(tmp_path, capsys, 0.1, 20, logs)
    assert line.endswith("left, waveform 0.25, commitment 2")


def test_pace():
    assert [pace(10, 5.0), pace(1, 2.5), pace(0, 1.0)] == ["2 batches/s", "2.5 s/batch", "- batches/s"]
