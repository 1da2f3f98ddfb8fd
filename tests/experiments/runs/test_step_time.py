"""The benchmark of a training batch: what it times is what runs, and it leaves the trainer as it was."""

import pytest

from codeclab.experiments.runs.step_time import HEADER, main
from codeclab.experiments.train.profiling import PARTS, Parts
from codeclab.experiments.train.orders import GeneratorLosses

TINY = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.adversarial_start 0 --data.seconds 0.2 --data.batch_size 2 --data.workers 0"
)


def test_a_part_inside_another_is_taken_out_of_it() -> None:
    moments = iter([0.0, 1.0, 4.0, 4.5])
    parts = Parts(lambda: next(moments))
    parts.enter("outer")
    parts.enter("inner")
    parts.leave()
    parts.leave()
    assert parts.seconds == {"outer": 1.5, "inner": 3.0}


def test_only_the_second_half_is_taken_apart(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    before = GeneratorLosses.gradients
    to = tmp_path / "times.md"
    for _ in range(2):
        main([*TINY.split(), "--batches", "2", "--warm-up", "1", "--to", str(to)])
    header, row = HEADER.splitlines(), to.read_text().splitlines()[-1]
    assert to.read_text().splitlines()[:2] == header
    assert len(to.read_text().splitlines()) == 4
    assert row in capsys.readouterr().out
    cells = dict(
        zip(*([cell.strip() for cell in line.strip("|").split("|")] for line in (header[0], row)), strict=True)
    )
    assert float(cells["ms a batch"]) > 0
    shares = {part: int(cells[part].removesuffix(" %")) for part in (*PARTS, "rest")}
    assert sum(shares.values()) == pytest.approx(100, abs=len(shares))
    assert min(shares[part] for part in ("codec forward", "discriminators forward", "output gradients", "backward")) > 0
    assert GeneratorLosses.gradients is before
    assert not (tmp_path / "runs").exists()


def test_impossible_counts_are_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        main([*TINY.split(), "--batches", "0"])
    assert "--batches and --warm-up should be 1 or more" in capsys.readouterr().err
