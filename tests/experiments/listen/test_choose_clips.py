"""The clips of a listening test."""

from pathlib import Path

import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.listen.choose_clips import available_clips
from codeclab.experiments.listen.sources import RowSource
from codeclab.experiments.listen.systems import System
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.measure.stamp import Stamp
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}


def system(folder: Path, sample_rate: int, measured_at: int | None) -> System:
    """A codec; beside it the figures of a table that was measured at a sampling rate, if one is given."""
    torch.manual_seed(0)
    parts = SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE)
    Codec(*parts, sample_rate=sample_rate).save(folder)
    source = None
    if measured_at is not None:
        Stamp("codec", ["si_snr"], [8.0], "recordings", measured_at, []).write(folder)
        source = RowSource(folder.name, RunFolder(folder), folder)
    return System(folder.name, {8.0: 2}, codec=folder, source=source)


def test_clips_have_the_highest_rate_of_all_codecs_whether_a_table_measured_them_or_not(tmp_path: Path) -> None:
    measured, named = system(tmp_path / "measured", 8000, 8000), system(tmp_path / "named", 16000, None)
    assert available_clips([measured], "recordings", 1.0).sample_rate == 8000
    assert available_clips([measured, named], "recordings", 1.0).sample_rate == 16000
    assert available_clips([system(tmp_path / "full", 8000, 24000), named], "recordings", 1.0).sample_rate == 24000
