"""Test sets of segments: what the papers' rules draw, how it is written, shared and read."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.experiments.cli.data import run
from codeclab.experiments.data.corpus import scan
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.reader import read_excerpt
from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.segment_rules import RULES, Rule, sized_rule
from codeclab.experiments.data.segments import draw_segments
from codeclab.experiments.runner.read import read_table

RATE = 800


def write(path: Path, seconds: float, seed: int, silent: tuple[float, float] | None = None) -> None:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    if silent:
        samples[int(silent[0] * RATE) : int(silent[1] * RATE)] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A copy of three datasets, split: a training file each, and test files of several lengths."""
    root = tmp_path / "corpus"
    for seed, (name, seconds) in enumerate(
        [("test/speech/a", 43.0), ("test/speech/b", 25.0), ("test/music/c", 31.0), ("test/music/d", 9.5)]
        + [("test/general/e", 12.0), ("test/general/f", 7.0), ("train/speech/g", 3.0), ("test/music/short", 4.0)]
    ):
        write(root / f"{name}.wav", seconds, seed)
    return root


def test_dacs_segments_are_seeded_and_do_not_overlap(corpus: Path) -> None:
    recordings = scan(corpus).test
    segments, remarks = draw_segments(recordings, RULES["dac"])
    # 43 s hold four segments of 10 s, 25 two, 31 three and 12 one; 9.5 s are one by themselves, 7 and 4 none.
    counts = {domain: sum(r.domain == domain for r in segments) for domain in ("speech", "music", "environment")}
    assert counts == {"speech": 6, "music": 4, "environment": 1}
    assert remarks[:2] == [
        "speech: no test files of daps, so those of the domain 'speech' are used",
        "speech: 6 of 1,000 segments of 10 s fit without overlap; --overlap adds segments that overlap",
    ]
    for recording in recordings:
        own = sorted((r.start, r.start + r.seconds) for r in segments if r.part_of == recording.name)
        assert all(end <= start + 1e-9 for (_, end), (start, _) in pairwise(own))
        assert all(start >= 0 and end <= recording.seconds + 1e-3 for start, end in own)
    smaller, _ = draw_segments(recordings, Rule(10.0, 2, None, ""))
    assert [r.name for r in smaller if r.domain == "speech"] == [r.name for r in segments if r.domain == "speech"][:2]
    other, _ = draw_segments(recordings, RULES["dac"], seed=1)
    assert [r.name for r in other] != [r.name for r in segments]


def test_overlap_fills_up_and_silence_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "test" / "speech" / "a.wav", 20.0, 0, silent=(0.0, 12.0))
    write(tmp_path / "train" / "speech" / "b.wav", 1.0, 1)
    recordings = scan(tmp_path).test
    segments, _ = draw_segments(recordings, Rule(2.0, 100, None, ""))
    assert len(segments) == 4
    more, remarks = draw_segments(recordings, Rule(2.0, 30, None, ""), overlap=True)
    assert len({r.name for r in more}) == 30
    assert remarks == ["speech: 4 of 30 segments of 2 s fit; 26 more overlap them"]
    for segment in more:
        assert float(read_excerpt(segment, 0, 2.0, RATE, 1).abs().max()) > 0


def test_encodecs_noisy_speech_is_mixed_when_it_is_read(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "test.csv"
    assert run("data", ["segments", str(corpus), "--rule", "encodec", "--count", "5", "-o", str(output)]) == 0
    clips = AudioData(str(output), sample_rate=RATE, clip_seconds=5.0, workers=0).clips("test")
    domains = [clip.domain for clip in clips]
    assert {domain: domains.count(domain) for domain in set(domains)} == {
        "clean speech": 5,
        "noisy speech": 5,
        "music set 1": 5,
    }
    test = scan(output).test
    noisy = [recording for recording in test if recording.domain == "noisy speech"]
    levels = []
    for recording in noisy:
        other = recording.mixed
        assert other is not None
        assert other.name.startswith("test/general/")
        audio = read_excerpt(recording, 0.0, 5.0, RATE, 1)
        speech, noise = (
            soundfile.read(path, start=round(start * RATE), frames=5 * RATE, dtype="float32")[0]
            for path, start in ((recording.path, recording.start), (other.path, other.start))
        )
        by_hand = speech * 10 ** (recording.gain_db / 20) + noise * 10 ** (other.gain_db / 20)
        assert torch.allclose(audio[0], torch.from_numpy(by_hand), atol=1e-6)
        assert float(audio.abs().max()) <= 1
        for samples, gain in ((speech, recording.gain_db), (noise, other.gain_db)):
            levels.append(20 * np.log10(np.sqrt(np.mean(samples**2))) + gain)
    # Section 4.1: normalized, then a gain of -10 to 6 dB.
    assert all(-24 - 10 - 0.1 < level < -24 + 6 + 0.1 for level in levels)
    assert max(levels) - min(levels) > 3
    assert [recording.name for recording in scan(output).train] == ["train/speech/g.wav"]


def test_a_test_set_is_shared_by_its_names(corpus: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    command = ["segments", str(corpus), "--rule", "encodec", "--count", "3"]
    assert run("data", [*command, "-o", str(first)]) == 0
    moved = corpus.rename(tmp_path / "elsewhere")
    assert run("data", ["segments", str(moved), "--like", str(first), "-o", str(second)]) == 0
    clips = AudioData(str(second), sample_rate=RATE, clip_seconds=5.0, workers=0).clips("test")
    moved.rename(corpus)
    before = AudioData(str(first), sample_rate=RATE, clip_seconds=5.0, workers=0).clips("test")
    audio = {clip.name: clip.audio for clip in before}
    corpus.rename(moved)
    assert len(clips) == 9
    assert all(torch.equal(clip.audio, audio[clip.name]) for clip in clips)
    joined = tmp_path / "sub" / "joined.csv"
    joined.parent.mkdir()
    assert run("data", ["join", str(second), "-o", str(joined)]) == 0
    assert [r.mixed for r in scan(joined).test] == [r.mixed for r in scan(second).test]


def test_encodecs_categories_are_those_of_its_table_1() -> None:
    rows = read_table("encodec_table1").rows
    published = {figures.domain for row in rows for figures in row.figures} - {ALL}
    drawn = {category.name for category in RULES["encodec"].categories or ()}
    assert published - drawn == {"music set 2"}  # which is not public
    assert drawn < published


def test_dacs_categories_are_those_of_its_figure_5() -> None:
    published = {figures.domain for row in read_table("dac_figure5").rows for figures in row.figures}
    assert {category.name for category in RULES["dac"].categories or ()} == published


def test_dacs_test_set_takes_nothing_of_its_other_training_sets(tmp_path: Path) -> None:
    """Improved RVQGAN, section 4.1: DAPS, MUSDB and AudioSet alone, of all that its corpora are joined from."""
    sets = {"daps": "speech", "dns": "speech", "common_voice": "speech", "vctk": "speech", "musdb18": "music"}
    recordings = []
    for seed, (name, domain) in enumerate({**sets, "jamendo": "music", "audioset": "general"}.items()):
        write(tmp_path / f"{name}.wav", 10.0, seed)
        recordings.append(Recording(tmp_path / f"{name}.wav", domain, RATE, 1, 10.0, split="test", name=f"{name}/a"))
    segments, remarks = draw_segments(recordings, RULES["dac"])
    assert {(segment.domain, segment.part_of) for segment in segments} == {
        *(("speech", "daps/a"), ("music", "musdb18/a"), ("environment", "audioset/a")),
    }
    assert not [remark for remark in remarks if "no test files of" in remark]
    every, _ = draw_segments(recordings, RULES["domains"])
    assert {segment.part_of for segment in every} == {recording.name for recording in recordings}


def test_a_domain_may_be_called_as_the_category() -> None:
    own = [Recording(Path("a.wav"), "environment", RATE, 1, 10.0, name="a")]
    assert [category.chosen(own) for category in RULES["dac"].categories or ()] == [[], [], own]


def test_datasets_go_before_domains() -> None:
    names = ["dns/a", "common_voice/b", "fsd50k/c", "audioset/d", "jamendo/e", "musdb18/f"]
    domains = ["speech", "speech", "general", "general", "music", "music"]
    recordings = [Recording(Path(n), d, RATE, 1, 5.0, name=n) for n, d in zip(names, domains, strict=True)]
    speech, noisy, music = RULES["encodec"].categories or ()
    assert [r.name for r in speech.chosen(recordings)] == ["dns/a"]
    assert noisy.added is not None
    assert [r.name for r in noisy.added.chosen(recordings)] == ["fsd50k/c"]
    assert [r.name for r in music.chosen(recordings[5:])] == ["musdb18/f"]


def test_what_cannot_be_drawn_is_named(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech = [recording for recording in scan(corpus).test if recording.domain == "speech"]
    with pytest.raises(DataError, match="noisy speech needs recordings of fsd50k, or the domain 'general' in the test"):
        draw_segments(speech, RULES["encodec"])
    with pytest.raises(DataError, match="music needs recordings of musdb18, .* --rule domains takes every domain"):
        draw_segments(speech, RULES["dac"])
    with pytest.raises(DataError, match="speech: no test file is 60 s long"):
        draw_segments(speech, Rule(60.0, 3, None, ""))
    for count in ("-1", "0"):
        assert run("data", ["segments", str(corpus), "--count", count, "-o", str(tmp_path / "x.csv")]) == 2
        assert "should be above 0" in capsys.readouterr().err
    assert sized_rule("dac") == RULES["dac"]
    assert (sized_rule("dac", 2.5).seconds, sized_rule("dac", count=3).count) == (2.5, 3)
    (tmp_path / "plain.csv").write_text("path\na.wav\n")
    command = ["segments", str(corpus), "--like", str(tmp_path / "plain.csv"), "-o", str(tmp_path / "x.csv")]
    assert run("data", command) == 2
    assert "lists no segments" in capsys.readouterr().err
    (tmp_path / "long.csv").write_text(f"path,length,start\n{corpus}/test/speech/b.wav,20,10\n")
    with pytest.raises(DataError, match=r"a segment up to 30\.00 s of a file of 25\.00 s"):
        scan(tmp_path / "long.csv")
