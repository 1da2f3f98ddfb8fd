"""``codeclab validate`` and ``codeclab test`` on a run that ``codeclab fit`` made."""

from pathlib import Path

import pytest

from codeclab.experiments.cli import main

TINY = (
    "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
    "--model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 --data.valid_clips 2 "
    "--data.max_test_clips 2 --data.clip_seconds 0.5 --trainer.max_steps 1 --model.quantizer_start_frames 0 --name tiny"
)


def succeed(*argv: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(list(argv))
    assert stopped.value.code == 0


def test_a_run_is_validated_and_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    succeed("fit", *TINY.split())
    weights = (tmp_path / "runs/tiny/codec/model.safetensors").read_bytes()
    capsys.readouterr()
    for command, split in (("validate", "valid"), ("test", "test")):
        succeed(command, "--config", "runs/tiny")
        printed = capsys.readouterr().out
        assert f"{split}/mel_distance" in printed
        assert f"{split}/mel_distance@lowest" in printed
    assert (tmp_path / "runs/tiny/codec/model.safetensors").read_bytes() == weights
