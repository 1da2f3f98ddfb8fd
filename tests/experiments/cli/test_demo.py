"""The demo's rows are too short to rank, but each must have learned something; the margin is asserted."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.metrics.mel_distance import mel_distance
from codeclab.codecs.codec import Codec
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runner.draft import Asked, draft_row
from codeclab.experiments.runner.perform import train
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runs.build import build

ROWS = read_table("demo").rows
MARGIN = 0.9
"""A trained row's mel distance is at most this share of what it has to beat."""


def mean_distance(clips: list[Clip], estimates: list[Tensor]) -> float:
    distances = [mel_distance(c.audio, e, c.sample_rate) for c, e in zip(clips, estimates, strict=True)]
    return sum(distances) / len(distances)


def coded(codec: Codec, clips: list[Clip], bitrate: float) -> list[Tensor]:
    return [codec.decode(codec.encode(clip.audio[None], bitrate=bitrate))[0] for clip in clips]


def noise_like_the_corpus(data: AudioData, clips: list[Clip]) -> list[Tensor]:
    """Gaussian noise with the mean power spectrum of the training clips, as loud as they are on average."""
    window = torch.hann_window(1024)
    training = [clip.audio[0] for clip in data.clips("train")]
    spectra = [torch.stft(x, 1024, 256, window=window, return_complex=True).abs().square().mean(1) for x in training]
    envelope = torch.stack(spectra).mean(0).sqrt()
    level = torch.stack([x.square().mean() for x in training]).mean().sqrt()
    generator = torch.Generator().manual_seed(0)
    estimates = []
    for clip in clips:
        white = torch.fft.rfft(torch.randn(clip.audio.shape[-1], generator=generator))
        shape = torch.nn.functional.interpolate(envelope[None, None], len(white), mode="linear", align_corners=True)
        noise = torch.fft.irfft(white * shape[0, 0], clip.audio.shape[-1])
        estimates.append((noise * level / noise.square().mean().sqrt())[None])
    return estimates


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_of_the_demo_has_learned_something(row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    (job,) = draft_row(row, Asked("demo", "demo", runs=str(tmp_path))).jobs
    train(job)
    trained = Codec.from_pretrained(job.folder.path).eval()
    fresh = build("fit", [*job.flags, "--dry-run"])
    untrained = fresh.model.codec.eval()
    clips = list(fresh.datamodule.clips("test"))
    lowest, highest = trained.bitrates[0], trained.bitrates[-1]

    at_full = mean_distance(clips, coded(trained, clips, highest))
    at_lowest = mean_distance(clips, coded(trained, clips, lowest))
    rivals = {
        "untrained": mean_distance(clips, coded(untrained, clips, highest)),
        "silence": mean_distance(clips, [torch.zeros_like(clip.audio) for clip in clips]),
        "noise": mean_distance(clips, noise_like_the_corpus(fresh.datamodule, clips)),
    }
    print(row.name, {"full": at_full, "lowest": at_lowest, **rivals})
    for rival, distance in rivals.items():
        assert at_full < MARGIN * distance, rival
    assert at_full < 0.97 * at_lowest
