"""Reverberation times of known decays, and reverberation as EnCodec adds it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from codeclab.experiments.data.augmentation import RandomGain
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.once import warn_once
from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.reverberation import Reverberation, measure_rooms, measure_rt60, put_in_room
from codeclab.experiments.data.sampling import EnCodecMixing

RATE = 16000


def _decay(rt60: float, seconds: float, noise_db: float | None = None, rate: int = RATE) -> np.ndarray:
    """Noise that fades by 60 dB in `rt60` seconds, after a silence."""
    rng = np.random.default_rng(0)
    count = round(seconds * rate)
    sound = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / rate / rt60)
    if noise_db is not None:
        sound += 10 ** (noise_db / 20) * rng.standard_normal(count)
    return np.concatenate([np.zeros(200), 0.1 * sound])


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """Two rooms of the range, two outside it, one file that is no response."""
    folder = tmp_path / "rooms"
    for name, rt60 in (("a/short", 0.15), ("a/small", 0.4), ("b/large", 1.1), ("b/church", 2.5)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.wav", _decay(rt60, 1.5 * rt60), RATE)
    soundfile.write(folder / "hum.wav", 0.1 * np.sin(np.arange(RATE)), RATE)
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Steady noise, music and speech in every split."""
    for index, split in enumerate(("train", "valid", "test") * 2):
        path = tmp_path / "corpus" / split / ("music", "speech")[index // 3] / "a.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, 0.1 * np.random.default_rng(index).standard_normal(RATE), RATE)
    return tmp_path / "corpus"


@pytest.mark.parametrize("rt60", [0.2, 0.3, 0.6, 1.3, 2.5])
@pytest.mark.parametrize(("length", "noise_db"), [(2.0, None), (1.0, None), (0.7, None), (2.0, -50.0), (2.0, -35.0)])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_the_time_of_an_exponential_decay(rt60: float, length: float, noise_db: float | None, rate: int) -> None:
    measured = measure_rt60(_decay(rt60, length * rt60, noise_db, rate), rate)
    assert measured == pytest.approx(rt60, rel=0.05)


def test_what_does_not_fade_has_no_time() -> None:
    assert measure_rt60(_decay(1.0, 0.2), RATE) is None
    assert measure_rt60(np.sin(np.arange(RATE)), RATE) is None
    assert measure_rt60(np.ones(50), RATE) is None
    assert measure_rt60(_decay(0.5, 1.0, noise_db=-10.0), RATE) is None


def test_recorded_rooms_have_the_times_estimated_elsewhere(shared: Path) -> None:
    folder = shared / "audio" / "rir"
    times = measure_rooms(str(folder))
    names = ["audiomentations_impulse_response_0", "p5_studio_b", "webaudio_kitchen_true_stereo"]
    assert [path.stem for path, time in times.items() if time is not None and 0.3 <= time <= 1.3] == names
    for name, time in (("audiomentations_stereo_impulse_response", 1.52), ("webaudio_binaural_s3_r4_bd", 1.89)):
        response, rate = soundfile.read(folder / f"{name}.flac", always_2d=True)
        assert measure_rt60(response[:, 0], rate) == pytest.approx(time, rel=0.1)


def test_responses_outside_the_range_are_left_out_and_counted(rooms: Path) -> None:
    assert [path.stem for path, time in measure_rooms(str(rooms)).items() if time is None] == ["hum"]
    reverberation = Reverberation()
    said = reverberation.prepare(str(rooms))
    assert [path.stem for path in reverberation._rooms] == ["small", "large"]
    assert said == (
        "reverberation with probability 0.2 from 2 of 5 room responses (left out: 2 with an RT60 outside 0.3 to 1.3 s, "
        "1 that cannot be measured)"
    )


def test_a_folder_that_is_missing_or_of_no_use_stops_before_training(rooms: Path, corpus: Path) -> None:
    def data(**changes: Any) -> AudioData:
        return AudioData(str(corpus), RATE, augmentations=[Reverberation()], workers=0, **changes)

    with pytest.raises(
        DataError, match=r"there is no folder of room responses .*nowhere; give one with --data.room_responses"
    ):
        data(room_responses=str(rooms / "nowhere")).check()
    (rooms / "b" / "large.wav").unlink()
    with pytest.raises(DataError, match=r"none of 1 audio files is a room response of RT60 0.3 to 1.3 s \(those"):
        data(room_responses=str(rooms / "b")).check()
    with pytest.raises(DataError, match=r"no augmentation uses it; --data.augmentations\+=Reverberation adds"):
        AudioData(str(corpus), RATE, room_responses=str(rooms)).check()


def test_without_a_folder_nothing_reverberates_and_that_is_said_once(
    corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            AudioData(str(corpus), RATE, augmentations=[Reverberation()], workers=0).check()
    said = [record.message for record in caplog.records if "reverberation" in record.message]
    assert said == ["no reverberation, as --data.room_responses gives no folder of room responses"]
    audio = torch.randn(1, 100)
    assert torch.equal(Reverberation(probability=1.0)(audio, RATE, np.random.default_rng(0)), audio)


def test_a_response_of_one_echo_is_worked_by_hand() -> None:
    audio = torch.zeros(2, 6)
    audio[0, 0], audio[1, 1] = 0.5, 0.25
    response = torch.tensor([[1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.9]])
    wet = put_in_room(audio, response)
    expected = torch.tensor([[0.5, 0, 0.25, 0, 0, 0], [0, 0.25, 0, 0.125, 0, 0]]) / 1.25**0.5  # the level is kept
    torch.testing.assert_close(wet, expected, atol=1e-6, rtol=0)
    assert float(put_in_room(torch.ones(1, 4), torch.tensor([[1.0, -0.9]])).abs().max()) == pytest.approx(1.0)


def test_reverberation_lengthens_what_ends(rooms: Path) -> None:
    reverberation = Reverberation(probability=1.0, rt60=(1.0, 1.3))
    reverberation.prepare(str(rooms))
    burst = torch.zeros(1, 2 * RATE)
    burst[:, :1600] = torch.randn(1, 1600) * 0.1
    wet = reverberation(burst, RATE, np.random.default_rng(0))
    assert wet is not None
    assert measure_rt60(wet[0].numpy(), RATE) == pytest.approx(1.1, rel=0.1)
    assert wet.square().mean().sqrt() == pytest.approx(float(burst.square().mean().sqrt()), rel=1e-3)


def test_one_item_in_five_reverberates_but_no_single_music(rooms: Path) -> None:
    reverberation = Reverberation()
    reverberation.prepare(str(rooms))
    audio = torch.randn(1, 64)

    def share(*domains: str) -> float:
        recordings = [Recording(Path("a"), domain, RATE, 1, 1.0) for domain in domains]
        draws = (reverberation.apply(audio, RATE, np.random.default_rng(seed), recordings) for seed in range(2000))
        return sum(wet is not None and not torch.equal(wet, audio) for wet in draws) / 2000

    assert share("music") == 0
    assert share("speech") == pytest.approx(0.2, abs=0.036)  # four standard deviations
    assert share("speech", "music") == pytest.approx(0.2, abs=0.036)


def test_batches_with_mixing_and_rooms_depend_on_seed_batch_and_item_alone(rooms: Path, corpus: Path) -> None:
    def batches(workers: int = 0, start: int = 0, rank: int | None = None) -> list[torch.Tensor]:
        data = AudioData(
            str(corpus), RATE, seconds=0.1, batch_size=8, n_batches=3, workers=workers, sampling=EnCodecMixing(),
            augmentations=[RandomGain(), Reverberation(probability=0.5)], room_responses=str(rooms),
        )  # fmt: skip
        data.start_batch = start
        if rank is not None:
            data._rank_and_world = lambda: (rank, 2)
        return [batch["audio"] for batch in data.train_dataloader()]

    whole = batches()
    assert all(torch.equal(one, other) for one, other in zip(whole, batches(workers=2), strict=True))
    assert all(torch.equal(one, other) for one, other in zip(whole[1:], batches(start=1), strict=True))
    halves = [batches(rank=rank) for rank in (0, 1)]
    joined = [torch.cat(pair) for pair in zip(*halves, strict=True)]
    assert all(torch.equal(one, other) for one, other in zip(whole, joined, strict=True))


def test_strategies_keep_their_probabilities_though_mixtures_are_rejected_more(corpus: Path) -> None:
    counts = [0, 0, 0, 0]
    data = AudioData(
        str(corpus), RATE, seconds=0.02, batch_size=400, n_batches=1, workers=0, sampling=EnCodecMixing(),
        augmentations=[RandomGain(target_db=-12.0)],
    )  # fmt: skip
    excerpts = data.train_dataloader().dataset
    attempts: list[list[Recording]] = []
    mix = excerpts._mix
    excerpts._mix = lambda sources, recordings, rng: attempts.append(recordings) or mix(sources, recordings, rng)
    for item in range(1000):
        excerpts.draw_sources(0, item)
        last = attempts[-1]
        counts[{1: int(last[0].domain != "music"), 2: 2, 3: 3}[len(last)]] += 1
    assert len(attempts) > 1300
    assert [count / 1000 for count in counts] == pytest.approx([0.32, 0.32, 0.24, 0.12], abs=0.059)


def test_the_gain_starts_from_the_level_of_the_whole_file() -> None:
    audio = torch.full((1, 100), 0.01)
    known = Recording(Path("a"), "speech", RATE, 1, 1.0, rms_db=-20.0)
    gain = RandomGain(0.0, 0.0, target_db=-24.0)
    by_file = gain.apply(audio, RATE, np.random.default_rng(0), [known])
    assert by_file is not None
    assert float(by_file.max()) == pytest.approx(0.01 * 10 ** (-4 / 20))
    unknown = gain.apply(audio, RATE, np.random.default_rng(0), [Recording(Path("a"), "speech", RATE, 1, 1.0)])
    assert unknown is not None
    assert float(unknown.max()) == pytest.approx(10 ** (-24 / 20))


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="probability is 1.5; it should be from 0 to 1"):
        Reverberation(probability=1.5)
    with pytest.raises(
        ValueError, match=r"rt60 is \[1.3, 0.3\]; it should be the shortest and the longest time in seconds"
    ):
        Reverberation(rt60=(1.3, 0.3))
