from pathlib import Path
from types import SimpleNamespace

import soundfile
import torch

from codeclab.codecs.codec import Codec
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs import disk
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.samples import SaveSamples
from codeclab.experiments.train.losses.waveform import WaveformL1
from codeclab.experiments.train.module import CodecExperiment
from codeclab.experiments.train.settings import LossWeights


def test_a_full_disk_is_named_where_clips_cannot_be_written(tmp_path, monkeypatch, capsys) -> None:
    trainer = SimpleNamespace(is_global_zero=True, state=SimpleNamespace(fn="fit"), datamodule=AudioData(workers=0))
    keeper = SaveSamples(RunFolder(tmp_path / "run"))

    def refuse(*_: object) -> None:
        # What libsndfile says of a FLAC on a full disk.
        raise soundfile.SoundFileError("Error : problem with initialization of the flac decoder.")

    monkeypatch.setattr(keeper, "_write", refuse)
    keeper.on_validation_end(trainer, None)
    assert "run: clips cannot be written (Error : problem" in capsys.readouterr().err
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    keeper.on_validation_end(trainer, None)
    assert capsys.readouterr().err == "run: clips cannot be written (the disk is full); training goes on\n"


def test_clips_are_kept_beside_their_originals(tmp_path: Path) -> None:
    codec = Codec.from_recipe("encodec_24khz", scale="laptop").eval()
    data = AudioData(sample_rate=24000, valid_clips=3, clip_seconds=0.5, workers=0)
    fit = SimpleNamespace(fn="fit")
    trainer = SimpleNamespace(is_global_zero=True, state=fit, datamodule=data, global_step=7, loggers=[])
    module = CodecExperiment(
        codec.encoder, codec.quantizer, codec.decoder, 24000, codec.bitrates, waveform_loss=WaveformL1(),
        weights=LossWeights(waveform=1.0), bitrate=6.0,
    ).eval()  # fmt: skip
    SaveSamples(RunFolder(tmp_path), clips=2).on_validation_end(trainer, module)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert len(names) == 4
    assert sum(name.endswith(".original.flac") for name in names) == 2
    original, rate = soundfile.read(tmp_path / "samples" / next(n for n in names if n.endswith(".original.flac")))
    coded, _ = soundfile.read(tmp_path / "samples" / next(n for n in names if n.endswith(".7.flac")))
    assert rate == 24000
    assert len(original) == len(coded) == 12000
    first = data.clips("valid")[0]
    expected = codec.decode(codec.encode(first.audio[None], bitrate=6.0))[0, 0].clamp(-1, 1)
    assert torch.allclose(torch.from_numpy(coded).float(), expected, atol=1e-4)
