"""The commands, as typed: mistakes are answered in a line or two, and nothing is made before they are."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from codeclab.benchmarks.baselines import BASELINES
from codeclab.experiments.cli import main
from codeclab.experiments.cli.commands import COMMANDS
from codeclab.experiments.config.part_names import baseline_names, part_names
from codeclab.experiments.config.parts import all_slots, subclasses
from codeclab.experiments.train.parts import import_parts

ENCODEC = ["--config", "encodec_24khz", "--scale", "laptop"]
DAC = ["--config", "dac_44khz", "--scale", "laptop"]


class Typed:
    """Types a command in an empty folder, in this process."""

    def __init__(self, command: Callable[..., tuple[int, str, str]]) -> None:
        self.command = command

    def __call__(self, *words: str) -> tuple[int, str, str]:
        return self.command(*words)

    def refused(self, *words: str) -> str:
        """What a command answers when refused: on stderr, at most two lines, and no trace in the folder."""
        status, out, err = self("fit", *words)
        assert (status, out) == (2, "")
        lines = [line for line in err.splitlines() if not line.startswith("note: ")]
        assert len(lines) <= 2, err
        assert "Traceback" not in err
        assert "usage:" not in err
        assert list(Path().iterdir()) == []
        return "\n".join(lines)


@pytest.fixture
def typed(run_command: Callable[..., tuple[int, str, str]]) -> Typed:
    return Typed(run_command)


def test_help_names_every_command_and_fits_a_screen(typed: Typed) -> None:
    for words in (["--help"], ["-h"], ["help"]):
        status, out, _ = typed(*words)
        assert status == 0
    assert all(f"  {command} " in out for command in COMMANDS)
    assert len(out.splitlines()) <= 24
    assert typed()[0] == 2
    assert typed("--version")[1].startswith("codeclab 0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(typed: Typed, command: str) -> None:
    status, out, err = typed(command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: codeclab {command}")
    assert len(out.splitlines()) <= 60
    assert max(map(len, out.splitlines())) <= 200


READ_NO_RUN = {"agreement", "dashboard", "data", "recipes", "tables"}
"""Commands that build no codec."""


@pytest.mark.parametrize("command", [*sorted(COMMANDS.keys() - READ_NO_RUN)])
def test_every_command_that_reads_a_run_has_the_flag_for_its_code(typed: Typed, command: str) -> None:
    out = typed(command, *["prepare"] * (command == "mushra"), "--help")[1]
    assert "--run-code run Python files of others' runs (read imports/ first)" in " ".join(out.split())


def test_the_help_of_fit_lists_every_part(typed: Typed) -> None:
    import_parts()
    own = {
        slot: [name for name, part in subclasses(base).items() if part.__module__.startswith("codeclab.")]
        for slot, base in all_slots().items()
    }
    assert part_names() == own  # read from the source, without importing it
    assert baseline_names() == list(BASELINES)
    out = typed("fit", "--help")[1]
    for slot, base in all_slots().items():
        assert f"--{slot} " in out
        for part in subclasses(base).values():
            if part.__module__.startswith("codeclab."):
                assert part.__name__ in out


def test_a_parts_arguments_are_explained(typed: Typed) -> None:
    status, out, _ = typed("fit", "--model.quantizer.help", "FactorizedVQ")
    assert status == 0
    assert "--model.quantizer.codebook_dim" in out


def test_every_flag_is_listed(typed: Typed) -> None:
    status, out, _ = typed("fit", "--help-all")
    assert status == 0
    for flag in ("--trainer.max_steps", "--data.batch_size", "--model.optimizer.lr", "--seed_everything"):
        assert flag in out


def test_an_unknown_command_is_answered_with_those_there_are(typed: Typed) -> None:
    status, out, err = typed("train")
    assert (status, out) == (2, "")
    assert err == f"codeclab: no command 'train'; there are: {', '.join(COMMANDS)}\n"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            ["--config", "encodec"],
            "no recipe 'encodec' (did you mean encodec_24khz?); there are: dac_16khz, dac_24khz, dac_44khz",
        ),
        ([*ENCODEC, "--scale", "big"], "no scale 'big'; there are: lab, laptop, mini, paper"),
        ([*ENCODEC, "--model.decoder", "SEANet"], "no decoder 'SEANet' (did you mean SEANetDecoder?)"),
        ([*ENCODEC, "--model.quantizer.code_size", "8"], "ResidualVQ takes no argument 'code_size'"),
        ([*ENCODEC, "--model.quantizer.dimension", "8"], "set --model.encoder.dimension"),
        ([*DAC, "--model.encoder.strides", "[2,4]"], "the encoder's strides are [2, 4] and the decoder's [2, 4, 8, 8]"),
        ([*ENCODEC, "--data.batch_size", "x"], "--data.batch_size is x; it should be a whole number"),
        ([*ENCODEC, "--data.batch_siz", "3"], "there is no --data.batch_siz (did you mean --data.batch_size?)"),
        ([*ENCODEC, "--batch_size", "3"], "there is no --batch_size (did you mean --data.batch_size?)"),
        ([*ENCODEC, "--steps", "3"], "there is no --steps (did you mean --trainer.max_steps?)"),
        (
            [*ENCODEC, "--model.n_filters", "3"],
            "there is no --model.n_filters (did you mean --model.encoder.n_filters?)",
        ),
        ([*ENCODEC, "--n_filters", "3"], "there is no --n_filters (did you mean --model.encoder.n_filters?)"),
        ([*ENCODEC, "--model.encoder.strides", "[a]"], "--model.encoder.strides is a; it should be a whole number"),
        ([*ENCODEC, "--model.update_order", "both"], "it should be discriminator_first or joint"),
        ([*ENCODEC, "--trainer.precision", "16-mixed"], "use 32-true or bf16-mixed"),
        ([*ENCODEC, "--trainer.max_steps", "0"], "at least 1"),
        ([*ENCODEC, "--data", "."], "no audio in ."),
        ([*ENCODEC, "--data", "nowhere"], "there is no folder or manifest nowhere"),
        ([*ENCODEC, "--data"], "--data needs a value"),
        (["--model.quantizer.help", "Nope"], "no quantizer 'Nope'; there are: DiffQ, "),
        (["--model.quantizer.help"], "--model.quantizer.help needs a value"),
        (["--trainer.logger.help", "Nope"], "Nope"),
        ([*ENCODEC, "demo"], "'demo' is not a flag"),
        ([*ENCODEC, "--import", "mine.py"], "--import mine.py: not a Python file"),
        (
            [*DAC, "--model.encoder.channels", "2", "--model.decoder.channels", "2"],
            "MultiPeriodDiscriminator judges audio of 1 channel, but the codec's has 2",
        ),
        ([*ENCODEC, "--trainer.accelerator", "abacus"], "accelerator"),
        ([*ENCODEC, "--trainer.devices", "two"], "--trainer.devices two: give a number, a list as in 0,1, or auto"),
        ([*ENCODEC, "--trainer.devices", "0,"], "--trainer.devices 0,: `devices` selected with"),
        # Before the first batch, and not at the first validation.
        (
            [*ENCODEC, "--model.validation_metrics", "[si_snr,utmos]"],
            "--model.validation_metrics [si_snr, utmos]: the metric utmos cannot be computed here: ",
        ),
        (
            [*ENCODEC, "--model.validation_metrics", "[pesk]"],
            "no metric pesk (did you mean pesq?); there are: visqol_audio, ",
        ),
        (
            [*ENCODEC, "--model.validation_metrics", "[codebook_usage]"],
            "codebook_usage needs a whole test set, on which codeclab evaluate measures",
        ),
        (
            [*ENCODEC, "--model.quantizer", "DiffQ", "--model.rate_sampling", "CodebookDropout"],
            "--model.rate_sampling AllCodebooks",
        ),
    ],
)
def test_mistakes_are_answered_in_a_line_before_anything_is_made(typed: Typed, words: list[str], answer: str) -> None:
    said = typed.refused(*words)
    assert answer in said
    assert said.startswith("codeclab fit: ")


def test_a_recipe_with_a_mistake_is_refused_like_a_flag(typed: Typed, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("recipes") / "mine.yaml"
    recipe = {"sample_rate": 24000, "encoder": "SEANetEncoder", "quantizer": "ResidualVQ", "decoder": "SEANetDecoder"}
    decoder = {"class_path": "SEANetDecoder", "init_args": {"dimension": 8}}
    wrong = {
        "did you mean --model.quantizer?": {**recipe, "quantiser": "ResidualVQ"},
        "set --model.encoder.dimension": {**recipe, "decoder": decoder},
        "no encoder 'Mimi'": {**recipe, "encoder": "Mimi"},
        "--model.sample_rate is missing": {key: recipe[key] for key in ("encoder", "quantizer", "decoder")},
    }
    for answer, model in wrong.items():
        path.write_text(yaml.safe_dump({"model": model, "trainer": {"max_steps": 2}}))
        assert answer in typed.refused("--config", str(path))


def test_what_a_swap_leaves_out_is_said_in_one_line(typed: Typed) -> None:
    _, _, err = typed("fit", *DAC, "--model.quantizer", "ResidualVQ", "--trainer.max_steps", "0")
    said = "these arguments of the recipe's FactorizedVQ do not apply to it: codebook_dim"
    assert err.splitlines()[0] == f"note: quantizer is ResidualVQ; {said}"


def test_a_run_of_other_settings_is_not_continued(typed: Typed) -> None:
    folder = Path("runs/mine")
    folder.mkdir(parents=True)
    stored = {"model": {"quantizer": {"class_path": "FactorizedVQ"}}, "data": {"batch_size": 7}}
    (folder / "config.yaml").write_text(yaml.safe_dump(stored))
    status, _, err = typed("fit", *ENCODEC, "--name", "mine")
    assert status == 2
    assert "runs/mine holds a run with other settings" in err
    assert "data.batch_size: 7 in the run, 3 now" in err
    assert len(err.splitlines()) <= 16
    assert yaml.safe_load((folder / "config.yaml").read_text()) == stored
    assert [path.name for path in folder.iterdir()] == ["config.yaml"]


def test_recipes_and_tables_are_listed_from_their_headers(typed: Typed) -> None:
    status, out, _ = typed("recipes")
    flat = " ".join(out.split())
    assert status == 0
    for word in ("dac_44khz", "encodec_24khz", "Improved", "streamable", "44.1 kHz", "24 kbps"):
        assert word in flat
    status, out, _ = typed("tables")
    assert status == 0
    assert "demo" in out
    status, out, _ = typed("tables", "demo")
    assert status == 0
    assert "factorized VQ" in " ".join(out.split())


NOISE = ("Seed set", "GPU available", "TPU available", "litlogger", "LeafSpec", "weights_only", "Trainer.fit",
         "anonymous", "Warning", "warn")  # fmt: skip


def test_the_real_command_trains_and_says_only_what_matters(tmp_path: Path) -> None:
    words = ["fit", *DAC, "--name", "mine", "--trainer.max_steps", "2", "--data.valid_clips", "1",
             "--data.clip_seconds", "0.5", "--data.seconds", "0.2"]  # fmt: skip
    environment = {**os.environ, "WANDB_MODE": "offline"}
    command = [sys.executable, "-m", "codeclab.experiments", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert not [noise for noise in NOISE if noise in said], said
    assert "mine: batch 2/2" in said
    assert "runs/mine is trained; to measure its codec: codeclab evaluate runs/mine" in said
    assert len(said.splitlines()) <= 5
    for name in ("config.yaml", "metrics.csv", "checkpoints/last.ckpt", "codec/config.json"):
        assert (tmp_path / "runs" / "mine" / name).is_file()
    assert list((tmp_path / "runs" / "mine").glob("wandb/offline-run-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="torch has GCC's OpenMP, which tells its settings, only on Linux")
@pytest.mark.parametrize(
    ("own", "spins"), [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "30000000000")]
)
def test_waiting_threads_leave_the_cores_to_others_unless_told_otherwise(own: dict[str, str], spins: str) -> None:
    """OpenMP itself says how long its threads spin, once torch has loaded it."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-m", "codeclab.experiments", "encode", "missing.wav", "out.clc"]
    environment = {**inherited, "OMP_DISPLAY_ENV": "VERBOSE", **own}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr, done.stderr


def test_what_lightning_users_expect_works(tiny, tmp_path: Path, monkeypatch, capsys) -> None:
    """``--print_config`` gives a config that trains the same run; own loggers and callbacks stand beside the run's."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    words = tiny("dac_44khz", 2)
    with pytest.raises(SystemExit) as end:
        main(["fit", *words, "--print_config"])
    assert end.value.code == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    assert not (tmp_path / "runs").exists()
    extra = ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "csv"]
    extra += ["--trainer.callbacks", "LearningRateMonitor", "--name", "mine"]
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", str(printed), *extra])
    assert end.value.code == 0, capsys.readouterr().err
    (beside,) = (tmp_path / "csv").rglob("metrics.csv")
    for figures in (tmp_path / "runs" / "mine" / "metrics.csv", beside):
        logged = pd.read_csv(figures)
        assert len(logged["train/spectral"].dropna()) == 2
        assert len(logged["lr-AdamW"].dropna()) >= 2
    before, after = (yaml.safe_load(path.read_text()) for path in (printed, tmp_path / "runs" / "mine" / "config.yaml"))
    assert before["model"] == after["model"]
    assert before["data"] == after["data"]


def test_tensorboard_is_written_beside_the_runs_own_log(tiny, tmp_path: Path, monkeypatch, capsys) -> None:
    pytest.importorskip("tensorboard", reason="needs TensorBoard: pip install 'codeclab[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    extra = ["--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "boards", "--name", "mine"]
    with pytest.raises(SystemExit) as end:
        main(["fit", *tiny("dac_44khz", 2), *extra])
    assert end.value.code == 0, capsys.readouterr().err
    (events,) = Path("boards").rglob("events.out.tfevents.*")
    board = EventAccumulator(str(events)).Reload()
    logged = pd.read_csv(tmp_path / "runs" / "mine" / "metrics.csv")["train/spectral"].dropna()
    assert [event.value for event in board.Scalars("train/spectral")] == pytest.approx(logged.tolist())


def test_a_run_that_is_not_there_is_answered_with_those_that_are(typed: Typed) -> None:
    assert "--config runs/mine: there is no such run, nor a folder runs" in typed("fit", "--config", "runs/mine")[2]
    for name in ("mine", "other"):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "config.yaml").touch()
    said = typed("fit", "--config", "runs/mime")[2]
    assert said.startswith("codeclab fit: --config runs/mime: there is no such run (did you mean mine?); ")
    assert said.endswith("the runs in runs are: mine, other\n")
    said = typed("fit", "--config", "runs")[2]
    assert said.endswith("is a folder but not a run: it has no config.yaml; the runs in runs are: mine, other\n")


@pytest.mark.parametrize("words", [["tables", "demo", "--help"], ["tables", "-h"], ["recipes", "--help"]])
def test_help_of_a_list_is_no_error_wherever_it_is_asked_for(words: list[str], run_command) -> None:
    status, out, _ = run_command(*words)
    assert (status, out.split()[:3]) == (0, ["usage:", "codeclab", words[0]])


def test_a_closed_standard_error_sends_no_message_to_the_output(tmp_path):
    command = f"{sys.executable} -m codeclab.experiments encode nothing.wav a.clc 2>&-"
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("words", [["--help"], ["encode", "--help"], ["recipes"], ["encode", "tone.wav", "tone.clc"]])
def test_a_reader_that_leaves_early_ends_a_command_without_a_trace(tmp_path, words):
    soundfile.write(tmp_path / "tone.wav", 0.1 * np.sin(np.arange(1600)), 16000)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        command = [sys.executable, "-m", "codeclab.experiments", *words]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert done.stderr == ""
    assert done.returncode in (0, 1)  # argparse ignores that its help is not read
