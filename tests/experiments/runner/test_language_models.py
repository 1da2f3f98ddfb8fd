"""``codeclab table --fit-lm``: a language model of each row's codes, and what it spends in the table."""

import pickle
from pathlib import Path

import pytest
import yaml

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders
from codeclab.experiments.cli.table import run
from codeclab.experiments.config.files import LANGUAGE_MODELS, RecipeError
from codeclab.experiments.language_model.recipe import LanguageModelRecipe
from codeclab.experiments.runner import fit_language_model
from codeclab.experiments.runner.draft import draft_row
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runner.perform import perform
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runner.request import TableRequest
from codeclab.experiments.runs.folder import RunFolder

TINY = (
    "--config encodec_24khz --model.encoder.n_filters 2 --model.decoder.n_filters 2 --model.encoder.lstm_layers 0 "
    "--model.decoder.lstm_layers 0 --model.discriminators [] --model.quantizer_start 0 "
    "--model.quantizer.n_codebooks 2 --model.bitrates [1.5] --model.rate_sampling.bitrates [1.5] --model.bitrate 1.5 "
    "--model.quantizer_start_frames 0 --trainer.max_steps 1 --data.seconds 0.2 --data.batch_size 1 --data.workers 0 "
    "--data.valid_clips 1 --data.max_test_clips 1 --data.clip_seconds 0.5 --trainer.accelerator cpu"
)
TABLE = {
    "title": "Mine",
    "metrics": ["si_sdr"],
    "columns": ["entropy_coded"],
    "bitrates": [1.5],
    "rows": [
        {"name": "Residual VQ", "flags": TINY, "published": {"entropy_coded": 0.9}},
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TABLE))
    recipe = yaml.safe_load((LANGUAGE_MODELS / "laptop.yaml").read_text())
    recipe["trainer"] = {"max_steps": 2, "val_check_interval": 2, "accelerator": "cpu"}
    recipe["model"] |= {"dimension": 8, "n_heads": 2, "n_layers": 1, "feedforward": 16, "start": "random"}
    recipe["data"] |= {"batch_size": 1}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def test_each_row_gets_a_language_model_and_its_rate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = folder / "runs"
    words = [str(folder / "mine.yaml"), "--runs", str(runs), "--data", "synthetic", "--jobs", "1"]
    assert run("table", words) == 0
    assert "codeclab table NAME --fit-lm RECIPE" in capsys.readouterr().out
    words += ["--fit-lm", str(folder / "small.yaml")]
    assert run("table", words) == 0
    printed = capsys.readouterr()
    assert "trained, then a language model of 2 batches" in printed.err
    (row,) = runs.glob("residual-vq-*")
    codec = Codec.from_pretrained(row)
    coders = Coders.beside(codec, row)
    assert "lm" in coders.names
    (columns,) = row.glob("tables/*/columns.csv")
    lines = columns.read_text().splitlines()
    (rate,) = [float(line.split(",")[3]) for line in lines if ",entropy_coded," in line]
    # Untrained, it knows nothing: a little over the nominal rate.
    assert 1.4 < rate < 1.8
    written = (row / "language_model" / "language_model.safetensors").stat().st_mtime_ns
    assert run("table", words) == 0
    again = capsys.readouterr()
    assert "language model" not in again.err
    assert (row / "language_model" / "language_model.safetensors").stat().st_mtime_ns == written
    assert again.out.splitlines()[:8] == printed.out.splitlines()[:8]


def test_codes_that_no_language_model_is_for_are_named_and_a_table_without_the_column_refuses(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(codec: Codec) -> None:
        raise RecipeError("sizes differ")

    words = [str(folder / "mine.yaml"), "--runs", str(folder / "runs"), "--data", "synthetic", "--jobs", "1"]
    assert run("table", ["encodec_table2", *words[1:], "--fit-lm", "laptop"]) == 2
    assert (
        "encodec_table2 cannot show a language model (laptop): it has no column `entropy_coded`"
        in capsys.readouterr().err
    )
    assert run("table", [*words, "--fit-lm", "lapdog"]) == 2
    assert "no language-model recipe 'lapdog' (did you mean laptop?)" in capsys.readouterr().err
    monkeypatch.setattr(fit_language_model, "sizes_of", refuse)
    assert run("table", [*words, "--fit-lm", str(folder / "small.yaml")]) == 0
    printed = capsys.readouterr()
    assert "note: Residual VQ gets no language model: sizes differ" in printed.err
    assert "then a language model" not in printed.err
    (row,) = (folder / "runs").glob("residual-vq-*")
    recipe = LanguageModelRecipe.read(str(folder / "small.yaml"))
    job = Job(read_table(words[0]), row.name, str(folder / "runs"), steps=1, language_model=recipe)
    fit_language_model.fit_language_model(job)  # as where sizes part in training
    assert "Residual VQ: no language model: sizes differ" in capsys.readouterr().err
    assert fit_language_model.has_language_model(job)
    assert not (row / "language_model").exists()


def test_a_recipe_edited_after_planning_changes_no_row(folder: Path) -> None:
    spec = read_table(str(folder / "mine.yaml"))
    recipe = fit_language_model.read_language_model(str(folder / "small.yaml"), spec, None)
    request = TableRequest(spec, runs=str(folder / "runs"), workers=0, language_model=recipe)
    (job,) = draft_row(spec.rows[0], request).jobs
    (folder / "small.yaml").write_text((folder / "small.yaml").read_text().replace("max_steps: 2", "max_steps: 3"))
    planned = pickle.loads(pickle.dumps(job))  # as it travels to the row's own process
    assert perform(planned, wait=False).error is None
    fitted = RunFolder(job.folder.path / "language_model")
    assert (fitted.steps, fitted.settings["trainer"]["max_steps"]) == (2, 2)
    assert fit_language_model.has_language_model(planned)


def test_a_recipe_of_no_batches_is_refused_before_any_row(folder: Path) -> None:
    (folder / "small.yaml").write_text("model: {dimension: 8}")
    with pytest.raises(RecipeError, match=r"small\.yaml: trainer\.max_steps should say how many batches"):
        fit_language_model.read_language_model(str(folder / "small.yaml"), read_table(str(folder / "mine.yaml")), None)
