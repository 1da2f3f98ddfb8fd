"""The demo's rows follow the waveform of speakers that they never heard, and do so better at more bits."""

from pathlib import Path

import pytest

from codeclab.benchmarks.metrics.mel_distance import mel_distance
from codeclab.benchmarks.metrics.si_snr import si_snr
from codeclab.benchmarks.tables.row import RowSpec
from codeclab.codecs.codec import Codec
from codeclab.experiments.config.words import read_words
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runner.draft import draft_row
from codeclab.experiments.runner.perform import train
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runner.request import TableRequest

DEMO = read_table("demo")
TRAINED = [row for row in DEMO.rows if row.kind == "trained"]
START = next(row for row in TRAINED if row.name == "Box, new codebooks")


def test_it_has_the_rows_that_its_readers_expect() -> None:
    assert len(TRAINED) >= 6
    assert {row.kind for row in DEMO.rows} == {"trained", "codec", "baseline"}
    assert (DEMO.data, DEMO.scale, DEMO.sample_rate) == ("recordings", "laptop", 16000)
    assert "visqol_speech" in DEMO.metrics
    assert "visqol_audio" not in DEMO.metrics


def scores(codec: Codec, bitrate: float) -> tuple[float, float]:
    """SI-SNR and mel distance of a third of the shipped test recordings, means over them."""
    clips = AudioData("recordings", sample_rate=16000, clip_seconds=3.0).clips("test")
    chosen = [clips[index] for index in range(0, len(clips), 3)]
    decoded = [codec.decode(codec.encode(clip.audio[None], bitrate=bitrate))[0] for clip in chosen]
    pairs = list(zip(chosen, decoded, strict=True))
    snr = [si_snr(clip.audio, audio, clip.sample_rate) for clip, audio in pairs]
    mel = [mel_distance(clip.audio, audio, clip.sample_rate) for clip, audio in pairs]
    return sum(snr) / len(snr), sum(mel) / len(mel)


def check(row: RowSpec, folder: Path, *extra: str) -> None:
    request = TableRequest(read_table("demo"), "laptop", data="recordings", runs=str(folder), extra=read_words(extra))
    (job,) = draft_row(row, request).jobs
    train(job)
    codec = Codec.from_pretrained(job.folder.path).eval()
    (low_snr, low_mel), (high_snr, high_mel) = (scores(codec, codec.bitrates[index]) for index in (0, -1))
    print(row.name, f"SI-SNR {low_snr:.2f} to {high_snr:.2f} dB, mel distance {low_mel:.2f} to {high_mel:.2f}")
    assert high_snr > 0
    assert high_snr > low_snr + 0.5
    assert high_mel < low_mel


def test_the_built_in_codec_with_new_codebooks_follows_the_waveform_without_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    check(START, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in TRAINED if row is not START], ids=lambda row: row.name)
def test_each_trained_row_follows_the_waveform(row: RowSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    extra: list[str] = []
    if "--init" in row.flags:  # what starts from a trained codec has to follow after half of its batches already
        batches = row.flags[row.flags.index("--trainer.max_steps") + 1]
        extra = ["--trainer.max_steps", str(int(batches) // 2)]
    check(row, tmp_path, *extra)
