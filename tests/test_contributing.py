"""The examples of CONTRIBUTING.md, run as they stand."""

import gc
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.experiments.cli import main
from codeclab.experiments.runner.read import TABLES, read_table
from codeclab.experiments.runs.build import CodecCLI, build

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = dict(re.findall(r"<!-- tested: (.+?) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL))
FILES = {name.split(", ")[0]: name.split(", ")[1] for name in BLOCKS if ", " in name}
SMALL = ["--trainer.max_steps", "1", "--data.batch_size", "2", "--data.seconds", "0.2", "--data.valid_clips", "1",
         "--data.clip_seconds", "0.3", "--trainer.limit_val_batches", "0",
         "--trainer.log_every_n_steps", "1"]  # fmt: skip


def block(title: str) -> str:
    return BLOCKS[f"{title}, {FILES[title]}" if title in FILES else title]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for title, name in FILES.items():
        (tmp_path / name).write_text(block(title))
    yield tmp_path
    for name in FILES.values():
        sys.modules.pop(Path(name).stem, None)
    METRICS.pop("peak_error", None)
    # The parts made here leave the lists of known parts with the last reference to them.
    gc.collect()


def trained(title: str) -> CodecCLI:
    """What the command below an example trains, one batch of it."""
    program, command, *words = shlex.split(block(f"{title} command"))
    assert (program, command) == ("codeclab", "fit")
    cli = build(command, [*words, *SMALL])
    cli.execute()
    assert (cli.folder.codec / "config.json").is_file()
    return cli


def test_the_tutorial_shows_the_same_quantizer() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own-part.md").read_text(), re.DOTALL)
    assert code == block("quantizer")


def test_the_tutorials_table_is_one(workspace: Path) -> None:
    (table,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "own-part.md").read_text(), re.DOTALL)
    (workspace / "noise.yaml").write_text(table)
    assert [row.name for row in read_table("noise.yaml").rows] == ["ResidualVQ", "NoisyVQ, 0.1", "NoisyVQ, 0.3"]


def test_every_fenced_example_is_tested() -> None:
    assert len(BLOCKS) == TEXT.count("\n```") // 2
    assert {title.split(", ")[0].removesuffix(" command") for title in BLOCKS} == {
        "quantizer", "contract", "discriminator", "loss", "metric", "recipe", "row",
    }  # fmt: skip


@pytest.mark.slow
def test_a_quantizer_is_trained_and_saved(workspace: Path) -> None:
    cli = trained("quantizer")
    assert type(cli.model.codec.quantizer).__name__ == "NoisyVQ"
    assert cli.model.codec.quantizer.noise == 0.2


def test_the_contract_of_the_quantizer_passes(workspace: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", FILES["contract"]]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True)
    assert "8 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_a_discriminator_is_trained(workspace: Path) -> None:
    discriminators = trained("discriminator").model.discriminators[0].discriminators
    assert [type(discriminator).__name__ for discriminator in discriminators][-1] == "WaveDiscriminator"


@pytest.mark.slow
def test_a_loss_is_trained(workspace: Path) -> None:
    assert type(trained("loss").model.waveform_loss).__name__ == "WaveformL2"


@pytest.mark.parametrize("title", ["loss", "metric"])
def test_the_contract_of_the_loss_and_of_the_metric_passes(title: str, workspace: Path) -> None:
    name = {"loss": "WaveformL2", "metric": "peak_error"}[title]
    command = [*(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"), str(ROOT / "tests/test_contracts.py")]
    command += ["--codeclab-import", str(workspace / FILES[title]), "-k", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert f"{ {'loss': 5, 'metric': 2}[title] } passed" in done.stdout, done.stdout + done.stderr


def test_a_metric_is_measured(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(block("metric command"))
    assert program == "codeclab"
    with pytest.raises(SystemExit, match="^0$"):
        main([*words, "--clips", "2", "--seconds", "1", "--bitrates", "6", "--output", "measured"])
    assert "Peak error" in capsys.readouterr().out
    METRICS.pop("peak_error")
    summary = Evaluation.load("measured").summary  # in a process that did not import the metric
    (mean,) = summary.query("metric == 'peak_error' and domain == 'all'")["mean"]
    assert 0 < mean < 2


@pytest.mark.slow
def test_a_recipe_is_trained(workspace: Path) -> None:
    codec = trained("recipe").model.codec
    assert codec.sample_rate == 16000
    assert codec.bitrates[-1] == pytest.approx(8 * 10 * 16000 / 320 / 1000)


def test_a_row_is_a_row_of_a_table(workspace: Path) -> None:
    (workspace / "more.yaml").write_text((TABLES / "demo.yaml").read_text() + block("row"))
    row = read_table("more.yaml").rows[-1]
    assert row.name == "EnCodec, ReLU for ELU"
    assert row.published == {"si_snr": 5.9}
    cli = build("fit", [*row.flags, "--scale", "laptop", "--dry-run"])
    assert cli.config.model.encoder.init_args.activation == "relu"
