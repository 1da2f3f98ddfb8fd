"""Files that are not what their headers say, made here: each has its right length, or is left out by name."""

import logging
import os
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from codeclab.experiments.data import formats, headers, waiting
from codeclab.experiments.data.clips import Clips
from codeclab.experiments.data.corpus import scan
from codeclab.experiments.data.formats import measure_header, read_header
from codeclab.experiments.data.left_out import LeftOut, refuse_too_many
from codeclab.experiments.data.measuring import measure_file
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.reader import ShorterError, read_excerpt
from codeclab.experiments.data.recording import Corpus, DataError, Recording


def noise(seconds: float, rate: int = 16000) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate))


def unknown_length(path: Path) -> None:
    """A FLAC as a pipe writes it: STREAMINFO says 0 samples."""
    soundfile.write(path, noise(2.0), 16000, format="FLAC")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the upper four of 36 bits, after rate, channels and sample size
    data[22:26] = bytes(4)
    path.write_bytes(data)


def cut_mp3(path: Path) -> None:
    soundfile.write(path, noise(30.0, 44100), 44100, format="MP3")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 10])


def cut_flac(path: Path) -> None:
    soundfile.write(path, noise(8.0), 16000, format="FLAC")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])


def raw_aac(path: Path) -> None:
    """8 s of silence, then 8 s of noise: FFmpeg guesses the length from the first frames, which are small."""
    samples = np.concatenate([np.zeros(8 * 16000), noise(8.0)]).astype(np.float32)
    with av.open(str(path), "w", format="adts") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for first in range(0, len(samples), 1024):
            block = np.pad(samples[first : first + 1024], (0, max(0, first + 1024 - len(samples))))
            frame = av.AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def nan_at_half(path: Path) -> None:
    samples = noise(1.0)
    samples[8000:8010] = np.nan
    soundfile.write(path, samples, 16000, subtype="FLOAT")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for split in ("train", "valid", "test"):
        (tmp_path / "tree" / split).mkdir(parents=True)
        for name in "abcdefg":
            soundfile.write(tmp_path / "tree" / split / f"{name}.wav", noise(1.0), 16000)
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("write", "name", "seconds"),
    [(unknown_length, "u.flac", 2.0), (cut_mp3, "c.mp3", 2.9), (raw_aac, "a.aac", 16.06)],
)
def test_lengths_are_those_of_the_sound(tmp_path: Path, write, name: str, seconds: float) -> None:
    path = tmp_path / name
    write(path)
    for header in (read_header(path), measure_header(path)):
        assert header.measured
        assert header.seconds == pytest.approx(seconds, abs=0.15)
    assert measure_file(path).seconds == pytest.approx(seconds, abs=0.15)
    rate = header.sample_rate
    recording = Recording(path, "all", rate, 1, header.seconds)
    whole = read_excerpt(recording, 0.0, header.seconds, rate, 1)
    assert whole[:, -rate // 2 : -rate // 4].abs().max() > 0.05
    part = read_excerpt(recording, header.seconds - 1.0, 0.5, rate, 1)
    start = round((header.seconds - 1.0) * rate)
    torch.testing.assert_close(part, whole[:, start : start + part.shape[1]], atol=1e-3, rtol=0)


@pytest.mark.parametrize("where", ["train", "valid", "test"])
@pytest.mark.parametrize(
    ("write", "name", "reason"), [(cut_flac, "cut.flac", "lost sync"), (nan_at_half, "n.wav", "NaN")]
)
def test_what_cannot_be_used_is_left_out_by_name_before_the_first_batch(
    tree: Path, write, name: str, reason: str, where: str
) -> None:
    write(tree / where / name)
    data = AudioData(str(tree), sample_rate=16000, n_batches=1)
    data.check(("train", "valid", "test"))
    ((skipped, why),) = data.corpus.skipped
    assert skipped == f"{where}/{name}"
    assert reason in why


def test_what_took_decoding_is_kept_for_the_next_time(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_mp3(tree / "train" / "c.mp3")
    first = scan(tree)
    opened: list[str] = []
    real = headers.read_header
    monkeypatch.setattr(headers, "read_header", lambda path: (opened.append(path.name), real(path))[1])
    assert [r.seconds for r in scan(tree).train] == [r.seconds for r in first.train]
    assert "c.mp3" not in opened
    os.utime(tree / "train" / "c.mp3", (1, 1))  # changed, as far as one can tell
    scan(tree)
    assert "c.mp3" in opened


def test_why_a_file_is_of_no_use_is_kept_for_the_next_time(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_flac(tree / "train" / "cut.flac")
    (tree / "train" / "text.wav").write_text("no sound")
    soundfile.write(tree / "train" / "zero.wav", np.zeros(16000), 16000)
    first = scan(tree).skipped
    assert [name for name, _ in first] == ["train/cut.flac", "train/text.wav", "train/zero.wav"]
    opened: list[str] = []
    real = headers.read_header
    monkeypatch.setattr(headers, "read_header", lambda path: (opened.append(path.name), real(path))[1])
    assert scan(tree).skipped == first
    assert not {"cut.flac", "text.wav", "zero.wav"} & set(opened)
    soundfile.write(tree / "train" / "text.wav", noise(1.0), 16000)  # mended
    assert [name for name, _ in scan(tree).skipped] == ["train/cut.flac", "train/zero.wav"]
    assert "text.wav" in opened


def test_what_the_system_says_of_a_file_is_not_kept(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_mp3(tree / "train" / "c.mp3")
    real = headers.read_header

    def refused(path: Path) -> formats.AudioHeader:
        if path.name == "c.mp3":
            raise OSError("Input/output error")
        return real(path)

    monkeypatch.setattr(headers, "read_header", refused)
    assert scan(tree).skipped == [("train/c.mp3", "unreadable: Input/output error")]
    monkeypatch.setattr(headers, "read_header", real)
    assert not scan(tree).skipped
    # Without FFmpeg's reader a file cannot be read today, and can be once that is installed.
    raw_aac(tree / "train" / "a.aac")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        assert "pip install av" in scan(tree).skipped[0][1]
    assert not scan(tree).skipped


def test_many_useless_files_are_an_error_before_the_first_batch_and_one_is_none(tree: Path) -> None:
    nan_at_half(tree / "train" / "n1.wav")
    AudioData(str(tree), sample_rate=16000).check()
    nan_at_half(tree / "train" / "n2.wav")
    scan_again = AudioData(f"{tree}/", sample_rate=16000)
    with pytest.raises(
        DataError, match=r"2 of 23 files in .* cannot be used, more than 5 %: train/n1.wav \(holds .*NaN"
    ):
        scan_again.check()
    AudioData(f"{tree}/", sample_rate=16000, max_left_out=0.09).check()


def corpus_with(files: int, useless: int) -> Corpus:
    good = [Recording(Path(f"{n}.wav"), "all", 16000, 1, 1.0, name=f"{n}.wav") for n in range(files - useless)]
    return Corpus("here", read_excerpt, good, skipped=[(f"bad{n}.wav", "silent") for n in range(useless)])


@pytest.mark.parametrize("files", [2, 19, 20])
def test_one_useless_file_never_is_too_many(files: int) -> None:
    refuse_too_many(corpus_with(files, 1), 0.0)
    with pytest.raises(DataError, match=f"2 of {files} files in here cannot be used, more than 0 %"):
        refuse_too_many(corpus_with(files, 2), 0.0)


@pytest.mark.parametrize(
    ("files", "useless", "most", "enough"),
    [(39, 2, 0.05, "0.06"), (59, 3, 0.05, "0.06"), (100, 29, 0.28, "0.29"), (100, 7, 0.06, "0.07"), (2, 2, 0.99, "1")],
)
def test_more_than_the_share_is_too_many_and_the_share_is_not(
    files: int, useless: int, most: float, enough: str
) -> None:
    corpus = corpus_with(files, useless)
    with pytest.raises(
        DataError, match=f"One unusable file is tolerated; more than .* --data.max_left_out {enough} continues"
    ):
        refuse_too_many(corpus, most)
    refuse_too_many(corpus, float(enough))  # as the message says
    refuse_too_many(corpus_with(20 * useless, useless), 0.05)  # exactly the share


def test_files_left_out_as_the_user_has_it_do_not_count() -> None:
    corpus = corpus_with(3, 1)
    corpus.skipped.extend([("b/x.wav", "beside the split folders"), ("y.wav", "listed twice, in lines 2 and 3")])
    refuse_too_many(corpus, 0.0)
    assert LeftOut.of(corpus, {}).line == "1 of 3 files left out: bad0.wav (silent)"
    assert LeftOut.of(corpus_with(1, 1), {}).line == "1 of 1 file left out: bad0.wav (silent)"


def test_a_file_at_another_rate_under_an_unchanged_manifest_is_read_at_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * 32000) / 32000)
    soundfile.write(tmp_path / "a.wav", 0.5 * tone, 32000)
    listed = Recording(tmp_path / "a.wav", "all", 16000, 1, 2.0)
    with caplog.at_level(logging.WARNING):
        audio = read_excerpt(listed, 0.5, 1.0, 16000, 1)
    spectrum = torch.fft.rfft(audio[0]).abs()
    assert int(spectrum.argmax()) == 440  # bins of 1 Hz
    assert "has 32000 Hz, but is listed with 16000 Hz; it is read at 32000 Hz" in caplog.text


def test_a_file_that_became_shorter_is_never_padded_with_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(2.0), 16000)
    listed = Recording(tmp_path / "a.wav", "all", 16000, 1, 10.0, name="a.wav")
    with pytest.raises(ShorterError, match="ends after 2.000 s, but is listed with 10.000 s"):
        read_excerpt(listed, 1.5, 1.0, 16000, 1)
    (clip,) = Clips([listed], read_excerpt, 16000, 1, 10.0)
    assert clip.audio.shape[-1] == 32000


def test_what_is_shorter_than_listed_is_said_once_and_counted(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = AudioData(str(tree), sample_rate=16000, seconds=0.6, batch_size=8, workers=0, n_batches=1)
    data.check()
    for split in ("train", "valid", "test"):
        for name in "abcdefg":
            soundfile.write(tree / split / f"{name}.wav", noise(0.7), 16000)
    how = "ends after 0.700 s, but is listed with 1.000 s"
    with caplog.at_level(logging.WARNING):
        batches = data.batches(0)
        noted = [one for _ in range(6) for one in next(batches)["shorter"]]
        assert len(noted) == len(dict(noted)) > 0
        assert set(dict(noted).values()) == {how}
        shorter = [one for batch in data.val_dataloader() for one in batch["shorter"]]
        assert sorted(shorter) == [(f"valid/{name}.wav", how) for name in "abcdefg"]
        for _ in range(2):
            clips = data.clips("test")
            assert {clip.audio.shape[-1] for clip in clips} == {11200}
    assert caplog.text.count(f"{tree}/test/a.wav {how}; it is read as it is") == 1
    line = LeftOut.of(data.corpus, clips.left_out, clips.shorter).line
    assert line.startswith("7 files read shorter than listed: test/")
    assert line.endswith(f"({how}); and 4 more")


def test_no_zero_in_place_of_missing_sound_is_measured(tmp_path: Path) -> None:
    real = noise(1.906)
    soundfile.write(tmp_path / "a.wav", real, 16000)
    listed = Recording(tmp_path / "a.wav", "all", 16000, 1, 2.0, name="a.wav")
    assert read_excerpt(listed, 0.0, 2.0, 16000, 1).shape[-1] == 32000  # training may pad so little
    for rate in (16000, 24000, 44100):
        clips = Clips([listed], read_excerpt, rate, 1, 10.0)
        (clip,) = clips
        assert clip.audio.shape[-1] == round(1.906 * rate)
        assert clip.audio[0, -50:].abs().min() > 0
        assert list(clips.shorter) == ["a.wav"]
    # What a manifest rounds to milliseconds is no difference to speak of, and leaves no zeros either.
    soundfile.write(tmp_path / "b.wav", noise(0.0096), 16000)
    rounded = Clips([Recording(tmp_path / "b.wav", "all", 16000, 1, 0.010, name="b.wav")], read_excerpt, 16000, 1, 1.0)
    assert next(iter(rounded)).audio.shape[-1] == round(0.0096 * 16000)
    assert not rounded.shorter


def test_a_clip_that_cannot_be_read_ends_nothing_and_is_named(tree: Path) -> None:
    data = AudioData(str(tree), sample_rate=16000, seconds=0.5, batch_size=2, workers=0, n_batches=1)
    data.check()
    (tree / "valid" / "b.wav").unlink()
    (tree / "test" / "c.wav").write_bytes(b"RIFF")
    batches = list(data.val_dataloader())
    assert sorted(name for batch in batches for name in batch["name"]) == [f"valid/{n}.wav" for n in "acdefg"]
    assert [name for batch in batches for name, _ in batch["left_out"]] == ["valid/b.wav"]
    clips = data.clips("test")
    assert len(list(clips)) == 6
    assert list(clips.left_out) == ["test/c.wav"]


def test_a_silent_batch_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = AudioData(str(tree), sample_rate=16000, seconds=0.5, batch_size=2, workers=0, n_batches=1)
    corpus = data.corpus
    object.__setattr__(corpus, "read", lambda recording, start, seconds, rate, channels: torch.zeros(1, 8000))
    with pytest.raises(DataError, match="batch 0 is silent: 64 excerpts in a row"):
        next(iter(data.batches(0)))


def test_a_corpus_that_is_gone_for_a_while_is_waited_for(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = AudioData(str(tree), sample_rate=16000, seconds=0.5, batch_size=2, workers=0, n_batches=1)
    expected = next(data.batches(0))["audio"]
    away = tree.with_name("away")
    tree.rename(away)
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            away.rename(tree)

    monkeypatch.setattr(waiting.time, "sleep", pause)
    assert torch.equal(next(data.batches(0))["audio"], expected)
    assert len(waited) == 3
    tree.rename(away)
    monkeypatch.setattr(waiting, "PATIENCE", -1)
    with pytest.raises(DataError, match="is gone, and did not come back"):
        next(data.batches(0))


def test_a_mount_point_that_stays_behind_empty_is_waited_for(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = AudioData(str(tree), sample_rate=16000, seconds=0.5, batch_size=2, workers=0, n_batches=1)
    expected = next(data.batches(0))["audio"]
    clips = [clip.name for clip in data.clips("valid")]
    away = tree.with_name("away")

    def unmount() -> None:
        tree.rename(away)
        tree.mkdir()

    def mount(seconds: float) -> None:
        tree.rmdir()
        away.rename(tree)

    monkeypatch.setattr(waiting.time, "sleep", mount)
    unmount()
    assert torch.equal(next(data.batches(0))["audio"], expected)
    unmount()
    batches = list(data.val_dataloader())
    assert sorted(name for batch in batches for name in batch["name"]) == sorted(clips)
    unmount()
    monkeypatch.setattr(waiting, "PATIENCE", -1)
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: None)
    with pytest.raises(DataError, match="no longer holds any of the corpus' files.*did not come back"):
        next(data.batches(0))


def test_validation_waits_for_a_corpus_that_is_gone_and_leaves_no_clip_out(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = AudioData(str(tree), sample_rate=16000, seconds=0.5, batch_size=2, workers=0, n_batches=1)
    expected = [clip.name for clip in data.clips("valid")]
    away = tree.with_name("away")
    tree.rename(away)
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: away.rename(tree))
    batches = list(data.val_dataloader())
    assert sorted(name for batch in batches for name in batch["name"]) == sorted(expected)
    assert not [one for batch in batches for one in batch["left_out"]]


@pytest.mark.parametrize("ending", ["flac", "wav", "mp3", "m4a", "opus", "aiff"])
def test_a_file_of_no_bytes_is_left_out_by_name(ending: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", noise(1.0), 16000)
    (tmp_path / f"none.{ending}").touch()
    corpus = scan(tmp_path)
    assert [recording.name for recording in corpus.train] == ["good.wav"]
    ((name, reason),) = corpus.skipped
    assert name == f"none.{ending}"
    assert "neither libsndfile nor FFmpeg can read it" in reason
