"""``import codeclab``: what it offers, how little it costs, and what its three verbs return."""

import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from lightning.pytorch.callbacks import LearningRateMonitor

import codeclab
from codeclab.codecs.io.parts import concrete_subclasses
from codeclab.experiments.cli.evaluate import run as run_evaluate
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.parts import all_slots
from codeclab.experiments.config.words import Words, read_words, typed_words
from codeclab.experiments.runs.build import build, build_typed
from codeclab.experiments.train.parts import import_parts

MONITOR = "lightning.pytorch.callbacks.lr_monitor.LearningRateMonitor"
TINY: dict[str, Any] = {
    "model__encoder__n_filters": 2,
    "model__decoder__n_filters": 2,
    "model__encoder__lstm_layers": 0,
    "model__decoder__lstm_layers": 0,
    "model__quantizer__n_codebooks": 2,
    "model__bitrates": [1.5],
    "model__bitrate": 1.5,
    "model__rate_sampling__bitrates": [1.5],
    "model__quantizer_start": 0,
    "model__adversarial_start": 0,
    "model__quantizer_start_frames": 0,
    "data__seconds": 0.2,
    "data__batch_size": 2,
    "data__workers": 0,
    "data__clip_seconds": 0.5,
    "data__max_test_clips": 2,
    "trainer__accelerator": "cpu",
    "trainer__limit_val_batches": 0,
    "trainer__log_every_n_steps": 1,
}


def run_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_costs_little_and_loads_neither_torch_nor_a_trainer() -> None:
    program = (
        "import sys, time; began = time.process_time(); import codeclab; spent = time.process_time() - began;"
        "print(spent, *({m.split('.')[0] for m in sys.modules} & {'torch', 'lightning', 'wandb', 'pandas'}))"
    )
    seconds, *loaded = run_python(program).split()
    assert loaded == []
    assert float(seconds) < 0.3


def test_a_part_loads_no_trainer_and_a_metric_neither() -> None:
    program = (
        "import codeclab, sys; codeclab.ResidualVQ(8, 2, 16), codeclab.MultiScaleMelLoss, codeclab.si_sdr;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'lightning', 'wandb', 'pandas', 'matplotlib'}))"
    )
    assert run_python(program) == "[]"


def test_every_part_loss_and_metric_is_there_by_its_name() -> None:
    import_parts()
    names = set(dir(codeclab))
    for base in set(all_slots().values()):
        for part in [base, *concrete_subclasses(base)]:
            if part.__module__.startswith("codeclab."):
                assert part.__name__ in names, part
                assert getattr(codeclab, part.__name__) is part
    # Those at the original's loudness are made of another when they are asked for, by METRICS alone.
    for name, metric in ((name, metric) for name, metric in codeclab.METRICS.items() if not metric.matched):
        assert name in names
        assert getattr(codeclab, name) is (metric.load() if metric.per_file else metric)
    for name in codeclab.__all__:
        assert getattr(codeclab, name) is not None


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Residual'; it has .*CodecExperiment.* see dir"):
        codeclab.Residual  # noqa: B018
    assert not hasattr(codeclab, "_private")


def test_public_functions_say_what_they_take_and_return() -> None:
    for name in ("train", "evaluate", "table"):
        function = getattr(codeclab, name)
        said = inspect.getdoc(function) or ""
        assert {"Args:", "Raises:"} <= set(said.split())
        for parameter in inspect.signature(function).parameters.values():
            assert f"\n    {parameter.name}: " in said
            assert parameter.annotation is not inspect.Parameter.empty


def test_settings_stay_as_they_are_but_for_classes_and_paths() -> None:
    fsq = "codeclab.quantizers.fsq.FSQ"
    given = {"model__quantizer": codeclab.FSQ, "a.b": None, "c": (1, 2.5), "d": True, "e": "x y", "f": Path("g")}
    more = {"parts+": [{"class_path": codeclab.FSQ}], "n": np.int64(3), "r": np.float32(0.5), "import": Path("my.py")}
    words = typed_words(given | more | {"config": ["one", "two"], "scale": "laptop"})
    settings = [("model.quantizer", fsq), ("a.b", None), ("c", [1, 2.5]), ("d", True), ("e", "x y"), ("f", "g")]
    settings += [("parts+", [{"class_path": fsq}]), ("n", 3), ("r", 0.5)]
    assert words == Words(["one", "two"], "laptop", ["my.py"], settings)
    assert {name: type(value) for name, value in words.settings} | {"n": int, "r": float, "d": bool} == {
        name: type(value) for name, value in words.settings
    }


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({"compile": True}, "--compile takes no value"),
        ({"model__quantizer": ""}, "--model.quantizer needs a value, as in --model.quantizer VALUE"),
        ({"data__sampling": object()}, "--data.sampling is <object.*>, of object; give a number, text, a part's name"),
    ],
)
def test_what_no_setting_can_be_is_refused(flags: dict[str, Any], error: str) -> None:
    with pytest.raises(RecipeError, match=error):
        typed_words(flags)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"model__waveform_loss": codeclab.WaveformL1}, ["--model.waveform_loss", "WaveformL1"]),
        ({"model__discriminators": None}, ["--model.discriminators=null"]),
        (
            {"model__discriminators+": {"class_path": "MultiPeriodDiscriminator", "init_args": {"periods": (2, 3)}}},
            ["--model.discriminators+", "{class_path: MultiPeriodDiscriminator, init_args: {periods: [2, 3]}}"],
        ),
        ({"model__optimizer": {"lr": 3e-4}, "losses": "all"}, ["--model.optimizer={lr: 3e-4}", "--losses=all"]),
        ({"trainer__callbacks": [LearningRateMonitor]}, ["--trainer.callbacks", f"[{MONITOR}]"]),
        ({"model.validation_metrics": ["si_sdr"]}, ["--model.validation_metrics+=si_sdr"]),
    ],
)  # fmt: skip
def test_typed_values_make_the_run_that_their_words_make(flags: dict[str, Any], words: list[str]) -> None:
    start = ["--config", "encodec_24khz", "--scale", "laptop", "--dry-run"]
    typed = build_typed("fit", read_words(start).joined(typed_words(flags)))
    typed_in = build("fit", [*start, *words])
    assert typed.requested == typed_in.requested
    assert typed.folder.path == typed_in.folder.path


def test_one_part_for_a_list_is_refused_as_a_mapping_too() -> None:
    words = read_words(["--config", "encodec_24khz"]).joined(
        typed_words({"model__discriminators": {"class_path": "X"}})
    )
    with pytest.raises(RecipeError, match=r"""is a list: write --model.discriminators '\[{"class_path": "X"}\]'"""):
        build_typed("fit", words)


def test_train_then_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def train(steps: int) -> codeclab.TrainedRun:
        settings = TINY | {"trainer__max_steps": steps, "model__waveform_loss": codeclab.WaveformL1}
        return codeclab.train("encodec_24khz", run="mine", scale="laptop", runs=tmp_path, **settings)

    run = train(2)
    assert (run.folder, run.steps) == (tmp_path / "mine", 2)
    assert list(run.metrics["step"]) == [1, 2]
    assert run.experiment.global_step == 2
    assert repr(run) == f"TrainedRun(folder={run.folder!r}, steps=2)"  # without all modules, in a session
    assert train(3).steps == 3  # the same call goes on
    evaluation = codeclab.evaluate(run.codec, metrics=["si_sdr", "codebook_usage"], clips=2, seconds=0.5, device="cpu")
    assert set(evaluation.summary["metric"]) == {"si_sdr", "codebook_usage"}
    assert len(evaluation.per_file) == 2
    again = codeclab.evaluate(run.folder, metrics=["si_sdr"], device="cpu")
    assert len(again.per_file) == 2  # as the run says
    with pytest.raises(RecipeError, match="no quantizer 'Nope'"):
        codeclab.train("encodec_24khz", model__quantizer="Nope")


def test_a_run_is_evaluated_on_the_synthetic_corpus_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for split in ("train", "valid", "test"):
        (tmp_path / "audio" / split).mkdir(parents=True)
        noise = torch.randn(24000, generator=torch.Generator().manual_seed(len(split)))
        soundfile.write(tmp_path / "audio" / split / f"of_the_run_{split}.wav", (0.1 * noise).numpy(), 24000)
    settings = TINY | {"trainer__max_steps": 1}
    run = codeclab.train(
        "encodec_24khz", data=tmp_path / "audio", run="mine", scale="laptop", runs=tmp_path / "runs", **settings
    )

    def names(data: str | None) -> list[str]:
        return list(codeclab.evaluate(run.folder, data=data, metrics=["si_sdr"], device="cpu").per_file["name"])

    assert [name.rpartition("/")[2] for name in names(None)] == ["of_the_run_test.wav"]
    assert not any("of_the_run" in name for name in names("synthetic"))


def test_a_baseline_is_evaluated_too(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    tone = 0.3 * torch.sin(torch.arange(16000) * 0.05)
    soundfile.write(tmp_path / "test" / "a.wav", tone.numpy(), 16000)
    opus = codeclab.Opus()
    evaluation = codeclab.evaluate(opus, data=tmp_path, metrics=["si_sdr"], bitrates=[12.0], sample_rate=16000)
    assert isinstance(evaluation, codeclab.Evaluation)
    assert len(evaluation.per_file) == 1
    with pytest.raises(ValueError, match=r"bitrates are None; offered are any: choose some"):
        codeclab.evaluate(opus, data=tmp_path, metrics=["si_sdr"])
    with pytest.raises(ValueError, match="no metric mos .did you mean utmos.*; there are: visqol_audio"):
        codeclab.evaluate(opus, data=tmp_path, metrics=["mos"])


def not_here() -> str:
    return "it is not here"


def test_a_table_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    (tmp_path / "mine.yaml").write_text(
        "title: Mine\nmetrics: [si_sdr]\nrows:\n  - {name: Small, flags: --config encodec_24khz}\n"
        "  - {name: Theirs, only_published: true, published: {si_sdr: 5}}\n"
    )
    settings = TINY | {"trainer__max_steps": 1}
    made = codeclab.table(tmp_path / "mine.yaml", scale="laptop", seeds=1, runs=tmp_path / "runs", **settings)
    assert isinstance(made, codeclab.MadeTable)
    assert made.folder == tmp_path / "runs" / "mine-laptop"
    assert repr(made) == f"MadeTable(folder={made.folder!r})"
    small, theirs = made.table.rows
    assert small.error is None
    assert isinstance(small.summary, pd.DataFrame)
    assert small.origins[0].evaluation.is_dir()
    assert (theirs.summary, theirs.stated[0].published) == (None, {"si_sdr": 5})
    assert (made.folder / "table.json").is_file()
    with pytest.raises(RecipeError, match="has no row Large; it has: Small, Theirs"):
        codeclab.table(tmp_path / "mine.yaml", rows=["Large"])
    (tmp_path / "mine.yaml").write_text("metrics: [pesq]\nrows:\n  - {name: Small, flags: --config encodec_24khz}\n")
    monkeypatch.setitem(codeclab.METRICS, "pesq", replace(codeclab.METRICS["pesq"], missing=f"{__name__}:not_here"))
    with pytest.raises(ValueError, match="it is not here"):  # before anything is trained
        codeclab.table(tmp_path / "mine.yaml", runs=tmp_path / "others")
    assert not (tmp_path / "others").exists()
    with pytest.raises(RecipeError, match="jobs and seeds should be 1 or more"):
        codeclab.table(tmp_path / "mine.yaml", jobs=0)


OWN_PARTS = """
import codeclab


class LibraryVQ(codeclab.ResidualVQ):
    pass


@codeclab.metric("Error of the library's test", higher_is_better=False)
def library_error(reference, estimate, sample_rate):
    return float((reference - estimate).abs().max())
"""

ANOTHER_USER = """
import gc, sys
from pathlib import Path

import codeclab

INIT = {"init": "runs/own", "init_parts": ["encoder", "decoder"]}
Path("theirs.yaml").write_text(
    "title: T\\nmetrics: [si_sdr]\\nsample_rate: 24000\\nrows:\\n  - {name: Theirs, codec: runs/own}"
)


def evaluate(**allowed):
    codeclab.evaluate("runs/own", metrics=["si_sdr"], clips=1, seconds=0.5, device="cpu", **allowed)


def table(**allowed):
    made = codeclab.table("theirs.yaml", scale="laptop", data__max_test_clips=1, **allowed)
    if made.table.rows[0].error:
        raise ValueError(made.table.rows[0].error)


def train(**allowed):
    codeclab.train("encodec_24khz", run="mine", scale="laptop", **TINY, **INIT, **allowed)


for verb in (evaluate, table, train):
    try:
        verb()
    except ValueError as error:
        print(verb.__name__, "brings code that has not been run here" in str(error))
    verb(run_code=True)
    del sys.modules["own_parts_of_library"]
    gc.collect()

own = ["own_parts_of_library.py"]
codeclab.evaluate("runs/own", metrics=["library_error"], clips=1, seconds=0.5, device="cpu", imports=own)
print(Path("known").exists())
table(imports=own)
print(Path("known").exists())
"""


def test_code_of_ones_own_and_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes of their own: the parser would hold the class, which must be unknown to the second user."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    Path("own_parts_of_library.py").write_text(OWN_PARTS)
    settings = TINY | {"trainer__max_steps": 1}
    start = f"import codeclab\nTINY = {settings}\n"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "first user"))
    assert (
        run_python(
            f"{start}run = codeclab.train('encodec_24khz', run='own', scale='laptop', "
            "imports=['own_parts_of_library.py'], model__quantizer='LibraryVQ', **TINY)\n"
            "print(type(run.codec.quantizer).__name__, [file.name for file in (run.folder / 'imports').iterdir()])"
        )
        == "LibraryVQ ['own_parts_of_library.py']"
    )
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "known"))
    assert run_python(start + ANOTHER_USER).split("\n") == [
        "evaluate True",
        "table True",
        "train True",
        "False",
        "True",
    ]


def test_the_library_measures_by_default_what_the_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def stop(subject: Any, settings: Any) -> None:
        measured.append(list(settings.metrics))
        raise ValueError("enough")

    for module in ("codeclab.experiments.library", "codeclab.experiments.cli.evaluate"):
        monkeypatch.setattr(f"{module}.measure", stop)
    with pytest.raises(ValueError, match="enough"):
        codeclab.evaluate("box")
    assert run_evaluate("evaluate", ["box"]) == 2
    assert measured[0] == measured[1]
    assert measured[0][0] == "visqol_audio"
