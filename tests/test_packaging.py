"""The folders at the root and the import package must stay one and the same, and the wheel must hold it all."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import codeclab

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
FOLDERS = ["codecs", "quantizers", "discriminators", "experiments", "benchmarks"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_with_python_files_is_listed_in_pyproject(folder: str) -> None:
    packages = {".".join(("codeclab", *p.parent.relative_to(ROOT).parts)) for p in (ROOT / folder).rglob("*.py")}
    assert packages <= set(SETUPTOOLS["packages"])
    assert packages <= set(SETUPTOOLS["package-dir"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_link_points_at_the_folder(folder: str) -> None:
    link = ROOT / "src" / "codeclab" / folder
    if link.is_file():
        pytest.skip("this checkout lost its symlinks; only the type checkers need them")
    assert link.resolve() == ROOT / folder


def test_the_root_on_the_path_does_not_hide_the_standard_codecs() -> None:
    # With an __init__.py in ./codecs the interpreter would not even start here.
    command = [sys.executable, "-X", "frozen_modules=off", "-c", "import codecs; print(hasattr(codecs, 'lookup'))"]
    out = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert out.stdout.strip() == "True", out.stderr


def test_torch_and_torchaudio_are_bounded_to_a_pair_that_works() -> None:
    bounds = {re.split(r"[><=]", d)[0]: d for d in PYPROJECT["project"]["dependencies"] if d.startswith("torch")}
    assert bounds["torch"].removeprefix("torch") == bounds["torchaudio"].removeprefix("torchaudio")
    assert "<2.12" in bounds["torch"]


def test_the_lock_names_no_registry_and_pins_the_tested_pair() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "index" not in lock
    assert "torch==2.11.0" in lock
    assert "torchaudio==2.11.0" in lock


def test_the_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    # Setuptools builds in the source folder: a copy keeps the checkout clean, and leftovers of it out of the wheel.
    source = tmp_path / "source"
    source.mkdir()
    for name in (*FOLDERS, "src"):
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "results")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    kinds = {"recipes": "encodec_24khz", "tables": "demo", "scales": "paper"}
    for kind, name in kinds.items():
        assert (site / "codeclab" / "experiments" / kind / f"{name}.yaml").is_file()
    program = (
        "import codeclab, sys; assert codeclab.__file__.startswith(sys.argv[1]), codeclab.__file__;"
        "codec = codeclab.Codec.from_recipe('encodec_24khz', scale='laptop'); print(codec.bitrates);"
        "from codeclab.experiments.data.module import AudioData; data = AudioData('recordings', 16000);"
        "clips = data.clips('test'); print(len(clips) >= 16, clips[0].audio.shape[0], len(data.corpus.train) > 50)"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    run = subprocess.run(
        [sys.executable, "-c", program, str(site)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.stdout.splitlines() == ["[1.5, 3.0, 6.0, 12.0, 24.0]", "True 1 True"], run.stderr
    assert (site / "codeclab" / "experiments" / "data" / "recordings" / "ATTRIBUTION.md").is_file()


def test_public_names_are_found_and_others_are_refused_with_a_list() -> None:
    assert codeclab.Codec.__module__ == "codeclab.codecs.codec"
    with pytest.raises(AttributeError, match="it has .*Codec, .*Codes"):
        _ = codeclab.Nothing
