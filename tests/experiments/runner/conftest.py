"""Tables whose rows train for seconds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def tiny_row() -> str:
    """The flags of a row that trains two batches."""
    return (
        "--config encodec_24khz --scale laptop --model.encoder.n_filters 2 --model.decoder.n_filters 2 "
        "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] "
        "--model.bitrate 1.5 --model.encoder.lstm_layers 0 --model.decoder.lstm_layers 0 --data.seconds 0.2 "
        "--data.batch_size 2 --data.max_test_clips 2 --data.clip_seconds 0.5 --trainer.limit_val_batches 0 "
        "--trainer.max_steps 2 --model.quantizer_start_frames 0"
    )


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[[str, Sequence[dict[str, Any]]], Path]:
    """``write_table(title, rows)``: the file of a table, named by its title."""

    def write(title: str, rows: Sequence[dict[str, Any]]) -> Path:
        file = tmp_path / f"{title.lower()}.yaml"
        content = {"title": title, "source": "here", "metrics": ["si_snr"], "rows": list(rows)}
        file.write_text(yaml.safe_dump(content))
        return file

    return write
