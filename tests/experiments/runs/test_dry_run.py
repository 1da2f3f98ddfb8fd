"""What ``--dry-run`` prints, and that it makes nothing."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from codeclab.experiments.cli import main
from codeclab.experiments.runs import dry_run
from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.dry_run import count_saved_bytes, describe, measure_item, parameters


def test_parameters_counts_what_is_trained() -> None:
    layer = nn.Linear(3, 4)
    assert parameters(layer) == 16
    layer.bias.requires_grad_(False)
    assert parameters(layer) == 12


def test_saved_bytes_are_those_kept_for_the_backward_pass() -> None:
    x = torch.ones(1000, requires_grad=True)
    with count_saved_bytes() as saved:
        y = (x * 2).exp()  # exp keeps its result, and a product with a number nothing
    assert sum(saved.values()) == 4 * y.numel()


def test_a_plan_is_printed_and_no_folder_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", "encodec_24khz", "--scale", "mini", "--dry-run", "--model.quantizer", "FactorizedVQ"])
    out, err = capsys.readouterr()
    assert (end.value.code, list(tmp_path.iterdir())) == (0, [])
    assert err.startswith("note: quantizer is FactorizedVQ")
    assert len(err.splitlines()) == 1
    for line in (
        r"  encoder +SEANetEncoder +[\d,]+ parameters",
        r"  quantizer +FactorizedVQ +[\d,]+ parameters",
        r"  discriminator 0 MSSTFTDiscriminator",
        r"  5 ensembles of discriminators, one per bandwidth",
        r"audio +24000 Hz, 1 channel, 320 samples a frame, 75.00 frames a second",
        r"bitrates +1.5, 3, 6, 12, 24 kbps \(checkpoints are compared at 6\)",
        r"receptive field +unbounded .* 213.1 ms back, 13.3 ms ahead",
        r"data +the synthetic corpus",
        r"training +[\d,]+ batches of 3 x 1.0 s, discriminator_first",
        r"memory +about \d+\.\d GiB",
        r"time +about \d+ (s|min \d\d s|h \d\d min) on this machine's",
    ):
        assert re.search(line, out), line


def test_the_papers_size_is_planned_on_any_machine() -> None:
    cli = build("fit", ["--config", "encodec_24khz", "--dry-run"])
    text = describe(cli.model, cli.datamodule, cli.config.trainer.max_steps)
    # The released 24 kHz codec has 14.85 million parameters (transformers' EncodecModel, without codebooks).
    assert "codec          14,851,810 parameters" in text
    assert re.search(r"time +about \d+ days", text) or torch.cuda.is_available()
    (gib,) = re.findall(r"memory +about ([\d.]+) GiB", text)
    assert 5 < float(gib) < 80


def test_memory_is_that_of_batches_with_discriminators_and_time_that_of_the_mean_batch(monkeypatch) -> None:
    calls = []

    def measured(model, audio, batch=0):
        playing = model.discriminators_of(batch) is not None
        calls.append(playing)
        return (3.0, 2**30) if playing else (1.0, 2**20)

    monkeypatch.setattr(dry_run, "measure_item", measured)
    flags = ["--config", "encodec_24khz", "--scale", "laptop", "--trainer.max_steps", "100", "--data.batch_size", "2"]
    for start, seconds, least in ((75, 0.75 * 1.0 + 0.25 * 3.0, 2.0), (0, 3.0, 2.0), (200, 1.0, 0.0)):
        cli = build("fit", [*flags, "--model.adversarial_start", str(start), "--dry-run"])
        text = describe(cli.model, cli.datamodule, 100)
        (gib,) = re.findall(r"memory +about ([\d.]+) GiB", text)
        assert least <= float(gib) <= least + 0.5
        assert f"({2 * seconds:.2f} s a batch, from one item timed here)" in text
    assert calls == [True, False, True, False]


def test_an_items_cost_grows_with_its_length_and_leaves_no_gradient() -> None:
    model = build("fit", ["--config", "encodec_24khz", "--scale", "laptop", "--dry-run"]).model
    half, whole = (measure_item(model, 0.1 * torch.randn(1, 1, length)) for length in (12000, 24000))
    assert half[0] > 0
    assert 1.7 < whole[1] / half[1] < 2.3
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
