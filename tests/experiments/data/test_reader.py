"""Reading by seeking against whole-file decodes, analytic signals and other decoders."""

import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample as torchaudio_resample

from codeclab.experiments.data.formats import read_header
from codeclab.experiments.data.reader import convert_channels, read_excerpt
from codeclab.experiments.data.recording import DataError, Recording

SECONDS = 4.0
STARTS = (0.0, 0.3, 1.7123, 2.9)


def _sound(rate: int, channels: int = 2) -> np.ndarray:
    """A sweep per channel in a little noise: no two places are alike."""
    time = np.arange(round(SECONDS * rate)) / rate
    noise = np.random.default_rng(0).standard_normal((channels, len(time)))
    sweeps = [0.3 * np.sin(2 * np.pi * (300 + 200 * c) * time * (1 + 0.2 * time)) for c in range(channels)]
    return (np.stack(sweeps) + 0.02 * noise).astype(np.float32)


def _recording(path: Path) -> Recording:
    header = read_header(path)
    assert header.problem is None
    return Recording(path, "all", header.sample_rate, header.channels, header.seconds, name=path.name)


def _encode_with_ffmpeg(path: Path, codec: str, audio: np.ndarray, rate: int) -> None:
    # Perceptual noise substitution is random on decoding, so two decodes would differ.
    options = {"aac_pns": "0"} if codec == "aac" else {}
    kind = "fltp" if codec == "aac" else "s16p"
    if kind == "s16p":
        audio = np.round(audio * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo", options=options)
        for at in range(0, audio.shape[1], 1024):
            block = np.ascontiguousarray(audio[:, at : at + 1024])
            frame = av.AudioFrame.from_ndarray(block, format=kind, layout="stereo")
            frame.sample_rate, frame.pts = rate, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_an_excerpt_is_the_same_part_of_the_whole_file(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, _sound(44100).T, 44100)
    whole, _ = soundfile.read(tmp_path / name, dtype="float32")
    at_24k = torchaudio_resample(torch.from_numpy(whole.T.copy()), 44100, 24000, lowpass_filter_width=24, rolloff=0.945)
    recording = _recording(tmp_path / name)
    for start in STARTS:
        excerpt = read_excerpt(recording, start, 1.0, 44100, 2)
        first = round(start * 44100)
        np.testing.assert_allclose(excerpt.numpy(), whole.T[:, first : first + 44100], atol=1e-6)
        excerpt = read_excerpt(recording, start, 1.0, 24000, 2)
        first = round(start * 24000)
        torch.testing.assert_close(excerpt, at_24k[:, first : first + 24000], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("b.m4a", "alac")])
def test_what_soundfile_cannot_read_is_sought_with_ffmpeg(tmp_path: Path, name: str, codec: str) -> None:
    sound = _sound(44100)
    _encode_with_ffmpeg(tmp_path / name, codec, sound, 44100)
    with pytest.raises(soundfile.SoundFileError):
        soundfile.info(tmp_path / name)
    recording = _recording(tmp_path / name)
    assert (recording.sample_rate, recording.channels) == (44100, 2)
    assert recording.seconds == pytest.approx(SECONDS, abs=0.03)
    whole = read_excerpt(recording, 0.0, recording.seconds, 44100, 2)
    source = torch.from_numpy(sound)[:, : whole.shape[1]]
    assert (whole[:, :100_000] - source[:, :100_000]).abs().mean() < (1e-4 if codec == "alac" else 0.03)
    for start in STARTS:
        first = round(start * 44100)
        excerpt = read_excerpt(recording, start, 1.0, 44100, 2)
        torch.testing.assert_close(excerpt, whole[:, first : first + 44100], atol=1e-6, rtol=0)


def test_opus_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.opus", _sound(48000).T, 48000, format="OGG", subtype="OPUS")
    recording = _recording(tmp_path / "a.opus")
    whole = read_excerpt(recording, 0.0, recording.seconds, 24000, 1)
    excerpt = read_excerpt(recording, 2.0, 0.5, 24000, 1)
    torch.testing.assert_close(excerpt, whole[:, 48000:60000], atol=2e-3, rtol=0)


@pytest.mark.parametrize(("old", "new"), [(44100, 24000), (16000, 44100), (22050, 24000), (44101, 24000)])
def test_a_resampled_sine_is_the_sine_at_the_new_rate(tmp_path: Path, old: int, new: int) -> None:
    time = np.arange(round(SECONDS * old)) / old
    soundfile.write(tmp_path / "sine.wav", 0.5 * np.sin(2 * np.pi * 997 * time), old, subtype="FLOAT")
    excerpt = read_excerpt(_recording(tmp_path / "sine.wav"), 1.25, 0.5, new, 1)
    expected = 0.5 * np.sin(2 * np.pi * 997 * (1.25 + np.arange(round(0.5 * new)) / new))
    np.testing.assert_allclose(excerpt[0].numpy(), expected, atol=2e-3)


def test_samples_beyond_the_file_are_zero(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(8000, 0.5), 16000, subtype="FLOAT")
    recording = _recording(tmp_path / "short.wav")
    excerpt = read_excerpt(recording, 0.0, 1.0, 16000, 2)
    assert excerpt.shape == (2, 16000)
    assert (excerpt[:, :8000] == 0.5).all()
    assert (excerpt[:, 8000:] == 0).all()
    assert (read_excerpt(recording, 3.0, 0.25, 16000, 1) == torch.zeros(1, 4000)).all()
    assert read_excerpt(recording, 0.0, 0.25, 24000, 1).shape == (1, 6000)


@pytest.mark.parametrize("exact", [True, False])
def test_an_excerpt_may_begin_between_two_samples(tmp_path: Path, exact: bool) -> None:
    """The middle 4 s of an odd number of samples do; the file was taken for one that ends there."""
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, 222561).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", audio, 16000, "FLOAT")
    recording = replace(_recording(tmp_path / "a.wav"), exact=exact)
    begins = (recording.seconds - 4) / 2
    assert begins * 16000 == 79280.5
    excerpt = read_excerpt(recording, begins, 4.0, 16000, 1)
    np.testing.assert_array_equal(excerpt[0].numpy(), audio[79280 : 79280 + 64000])


def test_channels_are_averaged_copied_or_cut() -> None:
    audio = torch.tensor([[1.0], [3.0], [8.0], [0.0]])
    assert convert_channels(audio, 1).tolist() == [[3.0]]
    assert convert_channels(audio, 2).tolist() == [[1.0], [3.0]]
    assert convert_channels(audio[:1], 2).tolist() == [[1.0], [1.0]]
    assert convert_channels(audio, 4) is audio


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    samples = np.full(16000, 0.1, dtype=np.float32)
    samples[9000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16000, subtype="FLOAT")
    recording = Recording(tmp_path / "nan.wav", "all", 16000, 1, 1.0)
    assert read_excerpt(recording, 0.0, 0.5, 16000, 1).isfinite().all()
    with pytest.raises(DataError, match=r"nan\.wav holds samples that are NaN"):
        read_excerpt(recording, 0.5, 0.5, 16000, 1)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.wav can no longer be read"):
        read_excerpt(Recording(tmp_path / "gone.wav", "all", 16000, 1, 1.0), 0.0, 0.5, 16000, 1)
    with pytest.raises(DataError, match="the start of an excerpt is .*; it should be at least 0"):
        read_excerpt(Recording(tmp_path / "gone.wav", "all", 16000, 1, 1.0), -0.1, 0.5, 16000, 1)


def test_without_ffmpeg_only_what_needs_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", _sound(16000).T, 16000)
    _encode_with_ffmpeg(tmp_path / "a.m4a", "aac", _sound(44100), 44100)
    recording = _recording(tmp_path / "a.m4a")
    monkeypatch.setitem(sys.modules, "av", None)
    assert read_header(tmp_path / "a.wav").sample_rate == 16000
    with pytest.raises(OSError, match="pip install av"):
        read_header(tmp_path / "a.m4a")
    with pytest.raises(DataError, match=r"a\.m4a can no longer be read.*pip install av"):
        read_excerpt(recording, 0.0, 0.5, 16000, 1)
