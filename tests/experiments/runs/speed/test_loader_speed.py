"""Reading is timed while all processes read, and whoever comes first has no colder audio than the others."""

import time

import pytest

from codeclab.experiments.runs.speed import loader_speed
from codeclab.experiments.runs.speed.loader_speed import AHEAD, ROUNDS, WARM_UP, seconds_a_batch, time_loader

TINY = "--config encodec_24khz --scale laptop --data synthetic --data.seconds 0.2 --data.batch_size 2"


class Bursts:
    """Data whose processes start slowly, then give their batches together every second, and the last one by one."""

    def train_dataloader(self):
        n = self.workers
        self.time = 100.0
        for number in range(self.n_batches):
            steady = WARM_UP * n <= number < (WARM_UP + ROUNDS) * n
            self.time += (number % n == 0) if steady else 7.0
            yield number


@pytest.mark.parametrize("workers", [1, 3])
def test_only_whole_rounds_of_all_processes_count(workers, monkeypatch) -> None:
    data = Bursts()
    monkeypatch.setattr(time, "perf_counter", lambda: data.time)
    assert seconds_a_batch(data, workers) == pytest.approx(1 / workers)
    assert data.n_batches == (WARM_UP + ROUNDS + AHEAD) * workers


def test_everything_is_read_once_before_any_reading_is_timed(monkeypatch) -> None:
    from codeclab.experiments.data.module import AudioData

    order, batches = [], AudioData.batches

    def noted(self, start):
        for number, batch in zip(range(1000), batches(self, start), strict=False):
            order.append(number)
            yield batch

    def timed(data, workers):
        order.append(f"{workers} workers")
        return float(workers + 1)

    monkeypatch.setattr(AudioData, "batches", noted)
    monkeypatch.setattr(loader_speed, "seconds_a_batch", timed)
    lines = {line.name: line for line in time_loader([*TINY.split()], [0, 2], repeats=1)}
    most = (WARM_UP + ROUNDS + AHEAD) * 2
    assert order == [*range(most), *["0 workers", "2 workers"] * 2]
    assert lines["a batch, 2 workers"].seconds == [3.0]
    assert lines["a batch, 2 workers"].row().split("|")[4].strip() == f"{0.4 / 3:.4g} times real time"
    assert lines["matrix product, float32"].median > 0
