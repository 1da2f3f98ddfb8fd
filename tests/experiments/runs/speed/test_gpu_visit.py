"""A visit to a GPU machine: what one part finds is kept whatever becomes of the others."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch

from codeclab.benchmarks.speed.budget import OutOfTimeError
from codeclab.experiments.runs.speed import gpu_visit, profiled_step
from codeclab.experiments.runs.speed.gpu_visit import GRAPH_WORKS, REHEARSAL, WORKS, Sizes, Visit
from codeclab.experiments.runs.speed.gpu_visit_page import HEADER

ROOT = Path(__file__).resolve().parents[4]
TINY = [*REHEARSAL.flags, "--data", "synthetic", "--trainer.precision", "32-true"]


def step_entry(name: str, seconds: float, precision: str = "32-true") -> dict:
    wall = {"median": seconds, "min": seconds / 2, "q25": seconds, "q75": seconds, "max": seconds, "n": 8}
    step = {"wall_s": wall, "launches": 10585, "busy_s": 0.134, "busy_share": 0.134 / seconds}
    info = {"precision": precision, "batch": 12, "seconds": 0.38}
    return {"impl": name, "info": info, "audio_seconds": 4.56, "phases": {"step": step}}


class Machine:
    """Takes the place of the programs that a visit runs."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []

    def __call__(self, words, seconds, log, environment=None, grace=2.0) -> None:
        words = list(words)
        self.ran.append(words)
        with log.open("a") as file:
            file.write("printed\n")
        after = dict(zip(words, words[1:], strict=False))
        if "codeclab.experiments.runs.speed.profiled_step" in words:
            self.measure(after)
        elif "codeclab.experiments.runs.speed.graphs_equal_eager" in words:
            differences = {"spectral": [0.0015, 0.002], "discriminator": [0.0, 1e-7]}
            Path(after["--to"]).write_text(json.dumps({"batches": 50, "replays": 20, "differences": differences}))
        elif "pytest" in words:
            log.write_text(
                "tests/a.py::one[x] PASSED [10%]\ntests/a.py::two FAILED [20%]\ntests/b.py::c PASSED [30%]\n"
            )
            raise OutOfTimeError("stopped after 140 s")
        elif "fit" in words:
            run = Path(after["--runs"]) / after["--name"]
            (run / "checkpoints").mkdir(parents=True)
            (run / "codec").mkdir()
            torch.save({"global_step": 812}, run / "checkpoints" / "last.ckpt")
            raise OutOfTimeError("stopped after 120 s")
        elif "export" in words:
            folder = Path(words[words.index("export") + 2])
            folder.mkdir()
            (folder / "model.safetensors").write_bytes(bytes(1000))
        else:
            folder = Path(after["-o"])
            folder.mkdir()
            text = "domain,bitrate_kbps,metric,mean,ci95,n,failed\nall,6.0,visqol_audio,3.25,0.125,24,0\n"
            (folder / "summary.csv").write_text(text + "speech,6.0,visqol_audio,3.5,0.5,8,0\n")

    def measure(self, after: dict[str, str]) -> None:
        if after["--config"] == "encodec_24khz":
            raise RuntimeError("exit status 1: CUDA out of memory")
        entries = [step_entry("codeclab", 0.207, after["--trainer.precision"])]
        if "--released" in after:
            entries = [step_entry("descript-audio-codec", 0.201), entries[0] | {"speedup_over_first": {"step": 0.97}}]
        Path(after["--to"]).write_text(json.dumps({"results": entries}))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    machine = Machine()
    monkeypatch.setattr(gpu_visit, "run_command", machine)
    monkeypatch.setattr(gpu_visit, "PIECE", 4096)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text("pytestmark = pytest.mark.gpu\n")
    (tmp_path / "tests" / "test_two.py").write_text("\n")
    return machine


def visited(machine: Machine, tmp_path: Path, carried: bool = True) -> tuple[dict, str]:
    if carried:
        (tmp_path / "peers" / "descript-audio-codec").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "scratch").mkdir()
    visit = Visit(Sizes(), "synthetic", tmp_path / "peers", tmp_path / "out", tmp_path / "scratch")
    assert not visit.run()
    return json.loads((tmp_path / "out" / "visit.json").read_text()), (tmp_path / "out" / "visit.md").read_text()


def test_what_fails_or_is_stopped_leaves_the_results_of_the_others(machine: Machine, tmp_path: Path) -> None:
    result, page = visited(machine, tmp_path)
    failures = {part["name"]: part["failure"] for part in result["parts"]}
    graphs = [f"one kind of batch, {how}" for how in ("eager", "CUDA graphs")]
    assert {name for name, why in failures.items() if "CUDA out of memory" in why} == {
        f"EnCodec 24 kHz, {size}, {precision}"
        for size in ("paper size", "`lab`", *graphs)
        for precision in Sizes().precisions
    }
    assert failures.pop("CUDA tests") == "OutOfTimeError: stopped after 140 s"
    assert [why for why in failures.values() if "CUDA out of memory" not in why] == [""] * 12
    # DAC at two sizes and precisions, both loops in turns, and with graphs and without
    assert len(result["results"]) == 10
    assert result["graphs_equal_eager"]["replays"] == 20
    assert result["results"][2]["speedup_over_first"] == {"step": 0.97}
    assert result["tests"] == {"passed": 2, "failed": 1}
    assert result["training"]["batches"] == 812
    (figure,) = result["training"]["evaluation"]
    assert (figure["metric"], figure["mean"]) == ("visqol_audio", "3.25")
    assert {"date", "commit", "machine", "script"} <= result.keys()

    lines = page.splitlines()
    table = lines[lines.index(HEADER.splitlines()[0]) :][:8]
    assert table[2] == "| DAC ablation, paper size | 12 × 0.38 s | float32 | 207 (104) | 134 | 65 % | 10,585 |  |  |"
    assert table[3].startswith("| `descript-audio-codec`, its own `train_loop` | 12 × 0.38 s | float32 | 201 (100) |")
    assert table[4].endswith("| 0.97 |")
    assert table[5].startswith("| DAC ablation, one kind of batch, eager | 12 × 0.38 s | float32 |")
    assert table[6].startswith("| DAC ablation, one kind of batch, CUDA graphs | 12 × 0.38 s | float32 |")
    assert {line.count("|") for line in table} == {10}
    assert "CUDA graphs beside the eager step: 50 batches, 20 of them replayed." in page
    assert "| spectral | 1.5e-03 | 2.0e-03 |" in lines
    assert "CUDA tests: 2 passed, 1 failed." in lines
    assert "| 6 | visqol_audio | 3.25 | ± 0.12 | 24 |" in lines
    assert [words[-1] for words in machine.ran if "pytest" in words] == ["tests/test_one.py"]

    pieces = sorted((tmp_path / "out").glob("codec.tar.*"))
    assert len(pieces) == 3
    assert max(piece.stat().st_size for piece in pieces) <= 4096
    whole = tmp_path / "codec.tar"
    whole.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    with tarfile.open(whole) as tar:
        assert {"codec/model.safetensors", "evaluation/summary.csv"} <= set(tar.getnames())


def test_each_part_leaves_its_results_before_the_next_begins(machine, tmp_path, monkeypatch) -> None:
    seen: list[int] = []
    save = Visit.keep

    def watched(self: Visit, outcomes) -> None:
        save(self, outcomes)
        seen.append(len(json.loads((tmp_path / "out" / "visit.json").read_text())["parts"]))

    monkeypatch.setattr(Visit, "keep", watched)
    visited(machine, tmp_path)
    assert seen == list(range(1, 22))


def test_a_missing_checkout_is_said(machine: Machine, tmp_path: Path) -> None:
    result, page = visited(machine, tmp_path, carried=False)
    checkout = tmp_path / "peers" / "descript-audio-codec"
    assert f"| beside the released DAC | 0 | FileNotFoundError: {checkout} was not carried along |" in page
    assert len(result["results"]) == 8


def test_the_parts_share_less_than_nine_minutes(tmp_path: Path) -> None:
    sizes = Sizes()
    assert sizes.seconds < 9 * 60
    *rows, tests, training, evaluation = Visit(sizes, "", tmp_path, tmp_path, tmp_path).parts()
    assert len(rows) == 2 + (len(WORKS) + len(GRAPH_WORKS)) * len(sizes.precisions)
    assert [row.name for row in rows[1:3]] == ["beside the released DAC", "graphs equal eager"]
    rehearsed = [part.name for part in Visit(REHEARSAL, "", tmp_path, tmp_path, tmp_path).parts()]
    assert not [name for name in rehearsed if "graphs" in name.lower()]
    assert [row.seconds for row in rows] == [60, 60, 90, *[60] * (len(rows) - 3)]
    assert all(row.reserve == tests.seconds + tests.reserve for row in rows)
    assert training.reserve < tests.reserve < sizes.seconds / 2
    assert evaluation.reserve == 0


def test_a_step_is_timed_and_profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    to = tmp_path / "step.json"
    profiled_step.main(
        ["--to", str(to), "--batches", "1", "--warm-up", "1", "--config", "encodec_24khz", "--scale", "laptop", *TINY]
    )
    (entry,) = json.loads(to.read_text())["results"]
    assert entry["impl"] == "codeclab"
    assert entry["info"] == {
        **{"recipe": "encodec_24khz", "scale": "laptop", "precision": "32-true", "batch": 2, "seconds": 0.2}
    }
    step = entry["phases"]["step"]
    assert step["wall_s"]["n"] == 1
    assert 300 < step["launches"] < 10000
    assert step["busy_s"] > 0
    assert step["peak_rss_mb"] > 100
    assert sum(step["parts_s"].values()) == pytest.approx(step["wall_s"]["median"])
    assert [file.name for file in tmp_path.iterdir()] == ["step.json"]


def test_ours_stands_beside_the_released_loop_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple] = []

    def released(checkout: Path, items: int, seconds: float, sizes: dict):
        return lambda: steps.append((checkout, items, round(seconds, 3), sizes, torch.ones(4).exp()))

    monkeypatch.setattr(profiled_step, "released_step", released)
    monkeypatch.chdir(tmp_path)
    to = tmp_path / "beside.json"
    words = ["--released", "there", "--released-sizes", '{"DAC": {"encoder_dim": 2}}', "--to", str(to)]
    profiled_step.main([*words, "--batches", "2", "--warm-up", "2", "--config", "dac_44khz_ablation", *TINY])
    theirs, ours = json.loads(to.read_text())["results"]
    assert (theirs["impl"], ours["impl"]) == ("descript-audio-codec", "codeclab")
    assert {one[:3] for one in steps} == {(Path("there"), 2, 0.2)}
    assert steps[0][3] == {"DAC": {"encoder_dim": 2}}
    assert len(steps) == 2 + 1 + 2 + 1  # warm-up, the turn that never counts, two that count, and the profile
    assert ours["phases"]["step"]["launches"] > 300 > theirs["phases"]["step"]["launches"] >= 2
    assert 0 < ours["speedup_over_first"]["step"] < 1


@pytest.mark.slow
def test_the_whole_way_on_a_cpu(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHON": sys.executable, "OUT": str(tmp_path), "OMP_NUM_THREADS": "1"}
    words = [shutil.which("bash") or "bash", str(ROOT / "benchmarks" / "gpu_visit.sh"), "--cpu-rehearsal"]
    run = subprocess.run(
        [*words, "--peers", str(tmp_path / "none"), "--seconds", "900"], env=environment, capture_output=True, text=True
    )
    log = (tmp_path / "log.txt").read_text()
    result = json.loads((tmp_path / "visit.json").read_text())
    failed = [part["name"] for part in result["parts"] if part["failure"]]
    assert failed == ["beside the released DAC"], run.stdout + run.stderr + log
    assert run.returncode == 1
    assert [entry["info"]["recipe"] for entry in result["results"]] == ["dac_44khz_ablation", "encodec_24khz"]
    assert set(result["tests"]) == {"skipped"} or torch.cuda.is_available()
    assert result["training"]["batches"] == 2
    assert {row["metric"] for row in result["training"]["evaluation"]} == {"mel_distance", "si_snr"}
    names = {file.name for file in tmp_path.iterdir()}
    assert "codec.tar.0" in names
    # As many parts as its size needs.
    assert {name for name in names if not name.startswith("codec.tar.")} == {
        *("log.txt", "tests.txt", "visit.json", "visit.md")
    }
