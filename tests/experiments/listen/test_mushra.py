"""``codeclab mushra``: what is compared, how loud, in which files; and the figure that tables show."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import soundfile
import torch

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.codes import CodeStatistics
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.evaluate.statistics import SUMMARY_COLUMNS
from codeclab.benchmarks.listening.anchors import anchor
from codeclab.benchmarks.listening.design import ListeningTest
from codeclab.benchmarks.listening.figures import with_figures
from codeclab.benchmarks.tables.render import markdown
from codeclab.benchmarks.tables.row import Figures, RowResult, RowSpec
from codeclab.benchmarks.tables.table import Table
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.folder import identity
from codeclab.codecs.loudness import measure_lufs
from codeclab.experiments.cli.mushra import run
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.listen import systems
from codeclab.experiments.listen.sources import RowSource, read_sources
from codeclab.experiments.listen.stimuli import Stimuli
from codeclab.experiments.listen.systems import read_systems
from codeclab.experiments.runner import collect as collecting
from codeclab.experiments.runner.draft import Draft
from codeclab.experiments.runner.job import Job, Outcome
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.measure.evaluate import data_of

SETTINGS = "data:\n  folder: null\n  max_test_clips: 3\n  clip_seconds: 0.5\n"


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.from_recipe("encodec_24khz", scale="laptop").eval()


@pytest.fixture
def runs(codec: Codec, tmp_path: Path) -> Path:
    """Two measured runs of one codec; figures made up."""
    for name in ("one", "two"):
        folder = tmp_path / "runs" / name
        codec.save(folder / "codec")
        (folder / "config.yaml").write_text(SETTINGS)
        per_file = [
            {"name": clip.name, "domain": clip.domain, "seconds": clip.seconds, "bitrate_kbps": rate}
            | {"n_codebooks": codec.n_codebooks_for(rate), "si_snr": 1.0, "failures": ""}
            for clip in data_of(folder, None, codec).clips("test")
            for rate in codec.bitrates
        ]
        info = {"metrics": ["si_snr"], "sample_rate": codec.sample_rate, "codec": identity(codec)}
        codes = CodeStatistics(codec.quantizer.codebook_sizes).table()
        Evaluation(pd.DataFrame(per_file), codes, info).save(folder / "evaluation")
    return tmp_path / "runs"


def prepared(folder: Path, *words: Any) -> ListeningTest:
    arguments = ["prepare", *map(str, words), "-o", str(folder), "--seconds", "1", "--device", "cpu"]
    assert run("mushra", arguments) == 0
    return ListeningTest.load(folder)


def stimulus(folder: Path, name: str) -> tuple[torch.Tensor, int]:
    text = (folder / "listen" / "audio" / f"{name}.js").read_text()
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(text.split('"')[3])), dtype="float32", always_2d=True)
    return torch.from_numpy(samples.T.copy()), rate


def test_other_peoples_codecs_are_played_under_their_names(tmp_path: Path) -> None:
    text = "sample_rate, codebook_sizes, bitrates = 800, [256], [6.4]\n"
    text += "def encode(audio):\n    return ((audio + 1) * 127.5).round().long()\n"
    (tmp_path / "mine.py").write_text(text + "def decode(codes):\n    return codes / 127.5 - 1\n")
    (system,), _ = read_systems([str(tmp_path / "mine.py")], [], None)
    assert (system.name, system.rates) == ("mine", {6.4: 6.4})
    clip = Clip("a", "speech", torch.rand(1, 800) - 0.5, 800)
    ((index, kbps, audio),) = system.decoded([clip], torch.device("cpu"))
    assert (index, kbps) == (0, 6.4)
    assert float((audio - clip.audio).abs().max()) <= 1 / 255 + 1e-6
    with pytest.raises(RecipeError, match="the hub does not give it"):
        read_systems([f"transformers:{tmp_path / 'nothing'}"], [], None)


def test_without_the_low_anchor_and_from_one_as_the_papers_differ(runs: Path, tmp_path: Path) -> None:
    words = ["--bitrates", 1.5, "--clips", 1, "--no-low-anchor", "--scale", "1-100"]
    test = prepared(tmp_path / "test", runs / "one", *words)
    assert [one.kind for one in test.conditions] == ["reference", "system"]
    assert test.lowest == 1
    assert all(sorted(page.stimuli.values()) == [0, 1] for page in test.pages)


def test_every_system_is_played_beside_reference_and_anchors_at_one_loudness(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "test"
    test = prepared(folder, runs / "one", runs / "two", "--bitrates", 1.5, 24, "--clips", 1, "--mid-anchor")
    assert [(one.name, one.kind, one.bitrate, one.run) for one in test.conditions] == [
        ("Reference", "reference", None, None),
        ("Anchor, 3.5 kHz", "low anchor", None, None),
        ("Anchor, 7 kHz", "mid anchor", None, None),
        ("one, 1.5 kbps", "system", 1.5, "../runs/one"),
        ("one, 24 kbps", "system", 24.0, "../runs/one"),
        ("two, 1.5 kbps", "system", 1.5, "../runs/two"),
        ("two, 24 kbps", "system", 24.0, "../runs/two"),
    ]
    assert sorted(page.domain for page in test.pages) == ["music-like", "noise-like", "voice-like"]
    assert test.practice.clip not in {page.clip for page in test.pages}
    sizes = set()
    for page in [*test.pages, test.practice]:
        heard = {condition: stimulus(folder, name)[0] for name, condition in page.stimuli.items()}
        assert len(heard) == 7
        for audio in heard.values():
            assert measure_lufs(audio, 24000) == pytest.approx(test.lufs, abs=0.01)
            assert float(audio.abs().max()) < 1
        assert torch.equal(heard[0], stimulus(folder, page.reference)[0])
        assert torch.equal(heard[3], heard[5])  # one codec under two names
        assert not torch.equal(heard[3], heard[4])
        low = anchor(heard[0], 24000)
        assert torch.allclose(low / low.norm(), heard[1] / heard[1].norm(), atol=1e-4)
        sizes |= {(folder / "listen" / "audio" / f"{name}.js").stat().st_size for name in page.stimuli}
    assert len(sizes) == 1
    names = [path.stem for path in (folder / "listen" / "audio").iterdir()]
    assert all(re.fullmatch("[0-9a-f]{12}", name) for name in names)
    assert sorted(path.name for path in folder.iterdir()) == ["key.json", "listen", "ratings"]
    assert (
        "3 clips (1 of music-like, 1 of noise-like, 1 of voice-like), 7 conditions, 3 pages a listener"
        in capsys.readouterr().out
    )


def test_more_systems_than_a_page_holds_are_spread(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = prepared(tmp_path / "test", runs / "one", runs / "one" / "codec", "--clips", 1, "--mid-anchor")
    assert [condition.run for condition in test.conditions[3::5]] == [
        "../runs/one",
        "../runs/one",
    ]  # a codec in a run is the run's
    assert len(test.pages) == 6
    for clip in {page.clip for page in test.pages}:
        pages = [set(page.stimuli.values()) for page in test.pages if page.clip == clip]
        assert [len(page) for page in pages] == [8, 8]
        assert set.intersection(*pages) == {0, 1, 2}
        assert set.union(*pages) == set(range(13))
    printed = capsys.readouterr().out
    assert "10 systems do not fit on a page of 12 stimuli beside the reference and anchors" in printed
    assert "every clip has 2 pages, each with its own reference and anchors. --bitrates selects fewer." in printed


def test_the_common_level_goes_down_where_something_would_clip(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (runs / "one", "--bitrates", 1.5, "--clips", 1, "--lufs", "0")
    test = prepared(tmp_path / "loud", *words)
    assert test.lufs < 0
    printed = re.search(
        r"Everything is at (-[\d.]+) LUFS, not 0: any louder, .* would clip on", capsys.readouterr().out
    )
    assert printed is not None
    assert float(printed[1]) == pytest.approx(test.lufs, abs=0.05)
    peaks = [
        float(stimulus(tmp_path / "loud", name)[0].abs().max())
        for page in [*test.pages, test.practice]
        for name in page.stimuli
    ]
    assert max(peaks) == pytest.approx(10 ** (-0.1 / 20), abs=1e-4)
    # The same words make the same test, to the byte; another seed makes another.
    assert prepared(tmp_path / "again", *words) == test
    assert prepared(tmp_path / "other", *words, "--seed", 1).id != test.id


def test_the_level_by_hand(tmp_path: Path) -> None:
    """A stimulus of peak 0.5 at -20 LUFS clips above -14; one at -30 of peak 0.5 above -24."""
    stimuli = Stimuli(tmp_path, 48000)
    tone = torch.sin(2 * torch.pi * 997 * torch.arange(48000) / 48000)[None]
    stimuli.add("clip", 0, 0.5 * tone)
    click = torch.zeros(1, 48000)
    click[0, 24000] = 0.5
    stimuli.add("clip", 1, 0.01 * tone + click)
    stimuli.add("clip", 2, 0 * tone)
    loud, peaky, silent = (stimuli.measured["clip", condition] for condition in range(3))
    # A sine of full scale in one channel is at -3.01 LUFS (BS.1770), less 0.27 dB of torchaudio's filter at 1 kHz.
    assert loud.lufs == pytest.approx(-3.01 - 6.02, abs=0.3)
    assert peaky.peak == pytest.approx(0.5, abs=0.011)
    level, tightest = stimuli.level(-20)
    assert (level, tightest) == (pytest.approx(peaky.lufs + 20 * 0.30103 - 0.1, abs=0.2), ("clip", 1))
    assert stimuli.level(-60) == (-60, None)
    assert stimuli.silent() == [("clip", 2)]
    assert silent.lufs == -float("inf")
    assert not stimuli.at("clip", 2, -20).any()
    assert measure_lufs(stimuli.at("clip", 0, -20), 48000) == pytest.approx(-20, abs=1e-3)


def test_a_bitrate_that_was_not_measured_is_refused_with_what_measures_it(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = runs / "one" / "evaluation" / "per_file.csv"
    scores = pd.read_csv(path)
    scores[scores["bitrate_kbps"] == 6].to_csv(path, index=False)
    said = re.escape(
        "one was measured at none of these bitrates, but at 6 kbps, which --bitrates takes. It also offers 1.5, 3, 12, "
        f"24 kbps: `codeclab evaluate {runs / 'one'} --bitrates 3 12` measures 3, 12"
    )
    with pytest.raises(RecipeError, match=said):
        read_systems([str(runs / "one")], [], [3, 12])
    table = tmp_path / "tables" / "own-row"
    shutil.move(runs / "one" / "evaluation", table)
    of_table = SimpleNamespace(row_sources=[RowSource("Row", RunFolder(runs / "one"), table)])
    monkeypatch.setattr(systems, "read_sources", lambda *_, **__: of_table)
    with pytest.raises(RecipeError, match="It also offers 1.5, 3, 12, 24 kbps: add them to the table's `bitrates`"):
        read_systems([str(runs / "two")], [], [3])


def test_what_cannot_be_prepared_is_said_in_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: Any) -> str:
        capsys.readouterr()
        assert run("mushra", ["prepare", *map(str, words), "-o", str(tmp_path / "new"), "--device", "cpu"]) == 2
        assert not list(tmp_path.glob("*new*"))
        return capsys.readouterr().err.strip()

    assert refused(runs / "one", "--bitrates", 7) == (
        "codeclab mushra prepare: one was measured at none of these bitrates, but at 1.5, 3, 6, 12, 24 kbps, which "
        "--bitrates takes"
    )
    assert "--clips and --clips-per-listener should be 1 or more" in refused(runs / "one", "--clips", 0)
    assert "--seconds should be from 1 to 30, not 90" in refused(runs / "one", "--seconds", 90)
    assert "no baseline 'Nope'; there are: CommandBaseline" in refused(runs / "one", "--baseline", "Nope")
    assert "Opus takes any bitrate: choose some, in kbps" in refused(runs / "one", "--baseline", "Opus")
    (tmp_path / "audio" / "test").mkdir(parents=True)
    soundfile.write(tmp_path / "audio" / "test" / "a.wav", torch.rand(24000).numpy(), 24000)
    (runs / "two" / "config.yaml").write_text(SETTINGS.replace("null", str(tmp_path / "audio")))
    message = "one and two were measured on different clips; --data FOLDER plays the same to all"
    assert message in refused(runs / "one", runs / "two")
    assert run("mushra", ["prepare", str(runs / "one"), "-o", str(runs)]) == 2
    assert f"{runs} exists already, and its ratings would not fit another test" in capsys.readouterr().err
    assert run("mushra", ["serve", str(runs)]) == 2
    assert "holds no listening test" in capsys.readouterr().err
    assert run("mushra", ["analyse", str(runs)]) == 2
    assert "holds no listening test" in capsys.readouterr().err


def rated(test: ListeningTest, by_kind: dict[str, float], listener: int) -> str:
    pages = [
        {"page": page.id, "order": list(page.stimuli), "seconds": 10}
        | {"ratings": {name: by_kind[test.conditions[condition].name] for name, condition in page.stimuli.items()}}
        for page in test.pages
    ]
    about = {"format": "codeclab mushra ratings", "version": 1, "test": test.id, "name": "", "began": "", "ended": ""}
    return json.dumps(about | {"listener": f"{listener:016x}", "pages": pages})


def test_a_table_shows_what_listeners_found_beside_what_the_paper_says(
    runs: Path, codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "test"
    test = prepared(folder, runs / "one", "--bitrates", 1.5, 24, "--clips", 1)
    names = [condition.name for condition in test.conditions]
    for listener, judged in enumerate([(100, 10, 40, 80), (100, 20, 50, 90), (60, 10, 0, 0)]):
        text = rated(test, dict(zip(names, judged, strict=True)), listener)
        (folder / "ratings" / f"{listener}.json").write_text(text)
    assert run("mushra", ["analyse", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "0000000000000002 was screened out: rated 3 of 3 hidden references below 90" in printed
    assert f"one, 1.5 kbps; one, 24 kbps: kept in {runs / 'one' / 'mushra.json'}" in printed
    stored = json.loads((runs / "one" / "mushra.json").read_text())
    assert (stored["test"], stored["listeners"], stored["screened_out"], stored["of"]) == (
        test.id,
        2,
        1,
        identity(codec),
    )

    summary = pd.DataFrame(
        [("all", rate, "si_snr", 1.0, 0.5, 3, 0) for rate in (1.5, 6.0, 24.0)], columns=SUMMARY_COLUMNS
    )
    rows = [
        RowResult.named("EnCodec", summary, figures=[Figures({"mushra": "49.2 ± 2.4"}, 1.5)]),
        RowResult.named("Trained anew", summary.copy()),
    ]
    rows = [with_figures(rows[0], runs, identity(codec)), with_figures(rows[1], runs, "v1-another")]
    table = Table("t", "EnCodec, Table 1", ["si_snr"], rows, columns=["mushra"])
    assert table.own_columns == ["mushra"]
    rendered = markdown(table)
    # 40 and 50, three times each: their deviation is a root of 30, t(0.975, 5) is 2.570582.
    assert "| EnCodec | 1.5 | 1.00 ± 0.50 | 45.0 ± 5.7 | 49.2 ± 2.4 |" in rendered
    assert "| EnCodec | 6 | 1.00 ± 0.50 | — | — |" in rendered
    assert "| EnCodec | 24 | 1.00 ± 0.50 | 85.0 ± 5.7 | — |" in rendered
    assert "| Trained anew | 1.5 | 1.00 ± 0.50 | — | — |" in rendered
    assert (
        f"* MUSHRA: listening test {test.id}, 2 listeners, 1 screened out; ± is half of the 95 % interval over ratings."
        in rendered
    )
    assert "need a listening test" not in rendered
    domain = next(part for part in rendered.split("### ") if part.startswith("music"))
    assert "| EnCodec | 1.5 | — | 45.0 ± 63.5 |" in domain
    # A report of the run alone has the column, too.
    assert "mushra" in read_sources([runs / "one"]).table.columns


def test_the_runner_finds_what_listeners_said_of_any_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The codec of the second seed was heard, that of the first was trained anew since."""
    row = RowSpec("EnCodec", published={"mushra": "77.5 ± 1.8"}, bitrate=6)
    spec = TableSpec("t", "T", "", [row], ["si_snr"], None, None, None, columns=["mushra"])
    jobs = [Job(spec, f"run{seed}", str(tmp_path), {}, seed=seed) for seed in (0, 1)]
    for job, of in zip(jobs, ("v1-before", "v1-1"), strict=True):
        content = {"format": "codeclab mushra figures", "version": 1, "test": f"of-{of}", "title": "t", "of": of}
        content |= {"listeners": 12, "screened_out": 0}
        content["figures"] = [{"domain": "all", "bitrate_kbps": 6.0, "mean": 70.0, "ci95": 2.0, "n": 120}]
        job.folder.path.mkdir()
        (job.folder.path / "mushra.json").write_text(json.dumps(content))

    def measured(job: Job) -> tuple[Evaluation, pd.DataFrame]:
        clip = {"name": "c", "domain": "music", "seconds": 1.0, "bitrate_kbps": 6.0, "n_codebooks": 8, "failures": ""}
        codes = CodeStatistics([4]).table()
        info = {"metrics": ["si_snr"], "codec": f"v1-{job.seed}"}
        return Evaluation(pd.DataFrame([clip | {"si_snr": 1.0}]), codes, info), pd.DataFrame(columns=SUMMARY_COLUMNS)

    monkeypatch.setattr(collecting, "measured", measured)
    result = collecting.collect(Draft(row, jobs), [Outcome(), Outcome()], spec)
    assert result.error is None
    assert result.listened == "listening test of-v1-1, 12 listeners"
    rendered = markdown(spec.printed([result], [], ranked=True))
    assert "| 70.0 ± 2.0 | 77.5 ± 1.8 |" in rendered
    spec = replace(spec, columns=[])
    assert collecting.collect(Draft(row, jobs), [Outcome(), Outcome()], spec).listened is None


def test_figures_of_several_tests_are_kept_separate(tmp_path: Path) -> None:
    rows = []
    for name in ("a", "b"):
        content = {"format": "codeclab mushra figures", "version": 1, "test": f"test-{name}", "title": "t"}
        content |= {"listeners": 1, "screened_out": 0, "of": name}
        content["figures"] = [{"domain": "all", "bitrate_kbps": 6.02, "mean": 50.0, "ci95": None, "n": 1}]
        (tmp_path / name).mkdir()
        (tmp_path / name / "mushra.json").write_text(json.dumps(content))
        summary = pd.DataFrame([("all", 6.0, "si_snr", 1.0, 0.5, 3, 0)], columns=SUMMARY_COLUMNS)
        rows.append(with_figures(RowResult.named(name, summary), tmp_path, name))
    rendered = markdown(Table("t", "", ["si_snr"], rows, columns=["mushra"]))
    assert "| a | 6 | 1.00 ± 0.50 | 50.0 |" in rendered
    assert "* MUSHRA of a: listening test test-a, 1 listener; ± is half of the 95 % interval over ratings." in rendered
    assert "* MUSHRA of b: listening test test-b, 1 listener; ± is half of the 95 % interval over ratings." in rendered
    assert "* MUSHRA of different listening tests cannot be compared." in rendered
    (tmp_path / "b" / "mushra.json").write_text("{")
    with pytest.raises(ValueError, match="mushra.json cannot be read .*`codeclab mushra analyse` writes it again"):
        with_figures(RowResult.named("b", rows[1].summary), tmp_path, "b")


def test_a_baseline_is_played_at_the_requested_bitrate(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (runs / "one", "--baseline", "Opus", "--bitrates", 6, "--clips", 1)
    test = prepared(tmp_path / "test", *words)
    assert [condition.name for condition in test.conditions[2:]] == ["one, 6 kbps", "Opus, 6 kbps"]
    assert test.conditions[3].of["part"] == "Opus"
    assert test.conditions[3].run is None
