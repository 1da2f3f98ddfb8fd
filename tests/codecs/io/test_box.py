"""The codec that ships with the package."""

from pathlib import Path

import pytest
import soundfile
import torch

from codeclab.benchmarks.metrics.mel_distance import mel_distance
from codeclab.benchmarks.metrics.si_snr import si_snr
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.box import BOX, BOX_FOLDER
from codeclab.experiments.data.named import RECORDINGS_FOLDER

TEST_CLIPS = sorted((RECORDINGS_FOLDER / "test" / "speech").glob("*.flac"))[::3]


@pytest.fixture(scope="module")
def box() -> Codec:
    return Codec.from_pretrained(BOX)


def scores(box: Codec, bitrate: float) -> tuple[float, float]:
    """SI-SNR and mel distance, means over some recordings of speakers that it never heard."""
    measured = []
    for path in TEST_CLIPS:
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == box.sample_rate
        audio = torch.from_numpy(samples)[None]
        decoded = box.decode(box.encode(audio[None], bitrate=bitrate))[0]
        measured.append((si_snr(audio, decoded, rate), mel_distance(audio, decoded, rate)))
    snr, mel = zip(*measured, strict=True)
    return sum(snr) / len(snr), sum(mel) / len(mel)


def test_it_follows_the_waveform_of_speakers_outside_of_its_training_data(box: Codec) -> None:
    assert len(TEST_CLIPS) >= 8
    at = {rate: scores(box, rate) for rate in box.bitrates}
    lowest, highest = at[box.bitrates[0]], at[box.bitrates[-1]]
    assert highest[0] > 6
    assert highest[1] < 1.5
    assert highest[0] > lowest[0] + 2
    assert highest[1] < lowest[1] - 0.2


def test_its_bitrates_are_at_most_opus_lowest(box: Codec) -> None:
    assert box.sample_rate == 16000
    assert box.channels == 1
    assert box.bitrates == [1, 2, 4, 6]


def test_it_is_small_and_says_what_it_is_made_of() -> None:
    size = sum(path.stat().st_size for path in BOX_FOLDER.iterdir())
    assert size < 16e6
    card = (BOX_FOLDER / "README.md").read_text()
    for word in ("licence", "kerstin", "LJSpeech", "codeclab fit"):
        assert word.lower() in card.lower(), word


def test_a_folder_of_its_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: Codec) -> None:
    monkeypatch.chdir(tmp_path)
    assert Codec.from_pretrained("box").chosen_bitrates == box.chosen_bitrates
    Path("box").mkdir()
    with pytest.raises(ValueError, match=r"box lacks config.json and model.safetensors"):
        Codec.from_pretrained("box")
