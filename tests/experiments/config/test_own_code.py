"""The user's own part, in a file of a folder that has nothing to do with the checkout, by ``--import``."""

import gc
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from codeclab.codecs.codec import Codec
from codeclab.experiments.cli import main
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import import_file, import_from
from codeclab.experiments.runs.build import build

OWN = """
import torch
from codeclab.quantizers.base import Quantized, Quantizer

class EvenSteps(Quantizer):
    '''Rounds the first channels of the latent to even steps, a codebook each.'''

    def __init__(self, dimension: int = 128, n_codebooks: int = 32, step: float = 0.01) -> None:
        super().__init__()
        self.dimension, self.n_codebooks = dimension, n_codebooks
        self.step = step

    @property
    def codebook_sizes(self) -> list[int]:
        return [1024] * self.n_codebooks

    def encode(self, latent, n_codebooks=None):
        count = n_codebooks if isinstance(n_codebooks, int) else self.n_codebooks
        return (latent[:, :count] / self.step).round().clamp(-512, 511).long() + 512

    def decode(self, codes):
        coarse = (codes - 512) * self.step
        rest = coarse.new_zeros(len(codes), self.dimension - codes.shape[1], codes.shape[2])
        return torch.cat([coarse, rest], 1)

    def forward(self, latent, n_codebooks=None):
        codes = self.encode(latent, n_codebooks)
        straight = latent + (self.decode(codes) - latent).detach()
        return Quantized(straight, codes, {}, latent.new_full((len(latent),), self.bits_per_frame()))
"""
FIT = ["fit", "--config", "encodec_24khz", "--scale", "laptop", "--import", "even_steps.py", "--name", "own",
       "--model.quantizer", "EvenSteps", "--model.quantizer.step", "0.02", "--trainer.max_steps", "2",
       "--data.batch_size", "2", "--data.seconds", "0.2", "--data.valid_clips", "1", "--data.clip_seconds", "0.5",
       "--trainer.log_every_n_steps", "1"]  # fmt: skip
EVALUATE = ["evaluate", "runs/own", "--metrics", "si_snr", "--clips", "1", "--seconds", "0.5", "--bitrates", "24"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "even_steps.py").write_text(OWN)
    return folder


@pytest.fixture(scope="module")
def command(workspace: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "codeclab.experiments", *words]
        environment = {**os.environ, "WANDB_MODE": "disabled"}
        return subprocess.run(program, cwd=workspace, capture_output=True, text=True, env=environment)

    return run


@pytest.fixture(scope="module")
def run_folder(workspace: Path, command: Callable[..., subprocess.CompletedProcess[str]]) -> Path:
    done = command(*FIT)
    assert done.returncode == 0, done.stderr
    assert "own: batch 2/2" in done.stderr
    return workspace / "runs" / "own"


def test_it_is_trained_and_saved(run_folder: Path) -> None:
    for name in ("checkpoints/last.ckpt", "codec/config.json", "codec/model.safetensors"):
        assert (run_folder / name).is_file()
    config = yaml.safe_load((run_folder / "config.yaml").read_text())
    assert config["model"]["quantizer"]["class_path"] == "even_steps.EvenSteps"
    assert config["model"]["quantizer"]["init_args"] == {"n_codebooks": 32, "step": 0.02}
    assert config["import"] == ["even_steps.py"]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """The file's module leaves with the test."""
    yield
    sys.modules.pop("even_steps", None)
    gc.collect()


def test_the_run_keeps_the_file_and_later_commands_find_it(
    run_folder: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    assert (run_folder / "imports" / "even_steps.py").read_text() == OWN
    monkeypatch.chdir(workspace)
    with pytest.raises(SystemExit) as end:
        main([*EVALUATE, "--workers", "0"])
    assert end.value.code == 0
    assert (run_folder / "evaluation" / "summary.csv").is_file()
    assert sys.modules["even_steps"].__file__ == str(run_folder / "imports" / "even_steps.py")


def test_code_from_elsewhere_runs_only_when_it_is_let(
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    forgotten: None,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another user"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run_folder, tmp_path / "runs" / "own")
    for words in (EVALUATE, ["fit", "--config", "runs/own", "--dry-run"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        said = capsys.readouterr().err
        assert end.value.code == 2
        assert re.search(r"brings code that has not been run here before: .*imports/even_steps.py.* --run-code", said)
        assert "even_steps" not in sys.modules
    for path in ("runs/own", "runs/own/codec"):
        with pytest.raises(ValueError, match="run_code=True in Python"):
            Codec.from_pretrained(path)
        assert type(Codec.from_pretrained(path, run_code=True).quantizer).__name__ == "EvenSteps"
        sys.modules.pop("even_steps")
        gc.collect()
    with pytest.raises(SystemExit) as end:
        main([*EVALUATE, "--workers", "0", "--run-code"])
    assert end.value.code == 0
    assert not (tmp_path / "another user").exists()  # let once, it is not remembered


@pytest.fixture
def elsewhere(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> Callable[..., tuple[int, str]]:
    """``elsewhere(words...)``: status and errors of a command of a user who knows nothing of the run it reads."""
    shutil.copytree(run_folder, tmp_path / "runs" / "own")
    environment = {**os.environ, "WANDB_MODE": "disabled", "XDG_DATA_HOME": str(tmp_path / "another user")}

    def run(*words: str) -> tuple[int, str]:
        program = [sys.executable, "-m", "codeclab.experiments", *words]
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, env=environment)
        return done.returncode, done.stderr

    monkeypatch.chdir(tmp_path)
    return run


def test_processes_that_code_files_may_run_it_too(elsewhere: Callable[..., tuple[int, str]]) -> None:
    for name in ("a", "b"):
        Path("in").mkdir(exist_ok=True)
        soundfile.write(f"in/{name}.wav", 0.1 * np.random.default_rng(0).standard_normal(4800), 24000)
    status, said = elsewhere("reconstruct", "in", "out", "--codec", "runs/own", "--jobs", "2", "--run-code")
    assert status == 0, said
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.wav", "b.wav"]


def test_processes_of_a_table_may_run_it_too(elsewhere: Callable[..., tuple[int, str]]) -> None:
    rows = [{"name": "Theirs", "codec": "runs/own"}]
    content = {"title": "T", "metrics": ["si_snr"], "sample_rate": 24000, "bitrates": [24], "rows": rows}
    Path("mine.yaml").write_text(yaml.safe_dump(content))
    words = ["table", "mine.yaml", "--jobs", "2", "--data.max_test_clips", "1", "--data.clip_seconds", "0.5"]
    status, said = elsewhere(*words, "--run-code")
    assert status == 0, said
    assert list(Path("runs/.jobs").iterdir())
    assert not Path("another user").exists()


def test_the_runs_config_brings_it_again(run_folder: Path, workspace: Path) -> None:
    """In a process of its own: the parser would hold the class, which other tests need unknown."""
    script = (
        "from codeclab.experiments.runs.build import build\n"
        "cli = build('fit', ['--config', 'runs/own', '--dry-run'])\n"
        "print(type(cli.model.codec.quantizer).__name__, cli.folder.differences(cli.settings))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=workspace, capture_output=True, text=True)
    assert done.stdout == "EvenSteps []\n", done.stderr


def test_files_that_cannot_be_brought_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    for name, content, message in [
        ("wave.py", "", "'wave' is not a valid or free module name; rename the file, as in my_part.py"),
        ("torch.py", "", "'torch' is not a valid or free module name"),
        ("setuptools.py", "", "'setuptools' is not a valid or free module name"),
        ("my-part.py", "", "'my-part' is not a valid or free module name"),
        ("fails.py", "1 / 0", "ZeroDivisionError: division by zero"),
        ("wrong.py", "def", "SyntaxError"),
        ("part.txt", "", "not a Python file"),
    ]:
        Path(name).write_text(content)
        with pytest.raises(RecipeError, match=message):
            import_file(name)
    with pytest.raises(RecipeError, match="--import nowhere.py: not a Python file"):
        import_file("nowhere.py")
    assert not {"fails", "wrong", "part"} & (set(sys.modules) - known)


def test_a_file_is_imported_once(tmp_path: Path) -> None:
    path = tmp_path / "counted_part.py"
    path.write_text("import builtins\nbuiltins.counted_part = getattr(builtins, 'counted_part', 0) + 1")
    for _ in range(2):
        import_file(str(path))
    import builtins

    assert builtins.counted_part == 1
    del builtins.counted_part
    sys.modules.pop("counted_part")


def test_two_versions_of_a_file_are_not_imported_together(tmp_path: Path) -> None:
    for run in ("one", "other"):
        (tmp_path / run / "imports").mkdir(parents=True)
        (tmp_path / run / "imports" / "versioned_part.py").write_text(f"WHICH = {run!r}\n")
    assert import_from(tmp_path / "one", run_code=True)
    try:
        with pytest.raises(RecipeError, match=r"other/imports/versioned_part.py differs from .*one/imports/"):
            import_from(tmp_path / "other", run_code=True)
        assert sys.modules["versioned_part"].WHICH == "one"
    finally:
        sys.modules.pop("versioned_part")


def test_a_part_that_could_not_be_saved_is_refused_before_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("forgetful.py").write_text(OWN.replace("EvenSteps", "Forgetful").replace("self.step = ", "self.width = "))
    with pytest.raises(RecipeError, match="Forgetful does not keep its argument 'step'"):
        build("fit", ["--config", "encodec_24khz", "--scale", "laptop", "--import", "forgetful.py",
                      "--model.quantizer", "Forgetful"])  # fmt: skip
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name != "__pycache__"] == []
    sys.modules.pop("forgetful")
    gc.collect()
