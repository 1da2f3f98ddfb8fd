"""A metric is declared once, beside its function; nothing else in the project names it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import codeclab
from codeclab.benchmarks.metrics.registry import METRICS, declared_in, metric
from codeclab.codecs.io.python_file import run_file

ROOT = Path(__file__).resolve().parents[3]
PEAK_ERROR = """
import codeclab
import {package}

@codeclab.metric("Peak error", higher_is_better=False, form=".3f")
def peak_error(reference, estimate, sample_rate):
    return float((reference - estimate).abs().max())
"""
ORDER = """
    visqol_audio visqol_speech visqol_speech_exponential visqol_audio_swapped si_snr si_sdr si_sdr_negated mel_distance
    stft_distance stft_distance_log mel_distance_matched stft_distance_matched visqol_audio_swapped_matched
    bitrate_efficiency codebook_usage codebook_entropy token_perplexity pesq pesq_narrowband stoi estoi dnsmos
    dnsmos_signal dnsmos_background dnsmos_p808 speaker_similarity word_error_rate utmos frechet_audio_distance
"""


@pytest.fixture
def package_with_a_file_more(tmp_path: Path) -> Path:
    """A folder to import a copy of the package from, whose folder of metrics holds one file more."""
    package = tmp_path / "codeclab"
    package.mkdir()
    for entry in (ROOT / "src" / "codeclab").iterdir():
        if entry.name != "benchmarks" and not entry.name.startswith("__pycache__"):
            (package / entry.name).symlink_to(entry.resolve())
    shutil.copytree(
        ROOT / "benchmarks", package / "benchmarks", ignore=shutil.ignore_patterns("results", "__pycache__")
    )
    (package / "benchmarks" / "metrics" / "peak_error.py").write_text(PEAK_ERROR.format(package="math"))
    return tmp_path


def run(package: Path, *words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(package)}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_file_in_the_folder_is_a_metric_everywhere(package_with_a_file_more: Path) -> None:
    program = (
        "import codeclab, sys; names = list(codeclab.METRICS), dir(codeclab); assert 'torch' not in sys.modules;"
        "import torch; score = codeclab.peak_error(torch.zeros(1, 9), torch.full((1, 9), 0.5), 8000);"
        "print(all('peak_error' in some for some in names), codeclab.METRICS['peak_error'].heading, score)"
    )
    assert run(package_with_a_file_more, "-c", program) == "True Peak error ↓ 0.5\n"
    command = "from codeclab.experiments.cli import main; main(['evaluate', '--help'])"
    assert "peak_error" in run(package_with_a_file_more, "-c", command)
    contracts = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_contracts.py", "-k", "peak_error")
    tested = run(package_with_a_file_more, *contracts)
    assert "2 passed" in tested


def test_a_metric_whose_packages_are_missing_is_listed_all_the_same(package_with_a_file_more: Path) -> None:
    file = package_with_a_file_more / "codeclab" / "benchmarks" / "metrics" / "peak_error.py"
    file.write_text(PEAK_ERROR.format(package="not_installed"))
    program = "import codeclab; print('peak_error' in codeclab.METRICS and 'peak_error' in dir(codeclab))"
    assert run(package_with_a_file_more, "-c", program) == "True\n"


def test_metrics_are_listed_in_a_fixed_order() -> None:
    assert list(METRICS)[: len(ORDER.split())] == ORDER.split()


def test_every_declaration_is_of_something_that_is_there() -> None:
    for entry in METRICS.values():
        for path in (entry.function, entry.of_set, entry.codes, entry.missing, entry.prepared):
            if path is not None:
                module, name = path.split(":")
                assert hasattr(run_module(module), name), path


def run_module(name: str) -> object:
    __import__(name)
    return sys.modules[name]


def test_a_file_of_the_user_declares_a_metric_likewise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeclab.benchmarks.metrics.registry.METRICS", dict(METRICS))
    file = tmp_path / "mine.py"
    for title in ("Peak error", "Peak"):  # a notebook's cell runs again
        file.write_text(PEAK_ERROR.format(package="math").replace("Peak error", title))
        run_file(file, "mine")
        assert codeclab.METRICS["peak_error"].title == title
    assert codeclab.peak_error is sys.modules["mine"].peak_error
    assert "peak_error" in dir(codeclab)
    del sys.modules["mine"]


def test_names_of_the_package_and_functions_that_cannot_be_found_again_are_refused() -> None:
    with pytest.raises(ValueError, match="a metric of codeclab is called si_sdr; give yours another name"):
        exec("@metric('Mine', True)\ndef si_sdr(): ...", {"metric": metric, "__name__": "mine"})

    def inside() -> None: ...

    with pytest.raises(ValueError, match="inside is not at the top level of a file"):
        metric("Mine", True)(inside)


def test_a_declaration_in_the_folder_is_read_and_so_must_be_literal(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("TITLE = 'x'\n@metric(TITLE, True)\ndef mine(): ...\n")
    with pytest.raises(ValueError, match=r"mine.py: metric\(TITLE, True\) should have literal values"):
        list(declared_in(tmp_path / "mine.py"))
