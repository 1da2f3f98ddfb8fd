"""``codeclab fit-lm``: codes extracted once, the paper's draws, exact resume, and coders found beside the codec."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.coders import TableCoder
from codeclab.codecs.entropy.model_coder import ModelCoder
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.cli import main
from codeclab.experiments.cli.code_files import run as code_files
from codeclab.experiments.cli.evaluate import run as evaluate
from codeclab.experiments.cli.fit_lm import run
from codeclab.experiments.config.files import LANGUAGE_MODELS, RecipeError
from codeclab.experiments.language_model.build import sizes_of
from codeclab.experiments.language_model.extraction import SplitCodes
from codeclab.experiments.language_model.module import LanguageModelExperiment
from codeclab.experiments.language_model.sequences import CodesData, TrainSequences, chunked, padded
from codeclab.experiments.language_model.start import start_from_codec, vectors_of
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.lock import RunLock
from codeclab.experiments.runs.stopping import Stopped, listening
from codeclab.experiments.train.settings import OptimizerSettings
from codeclab.quantizers.base import ABSENT
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}
SMALL = "--model.dimension 8 --model.n_heads 2 --model.n_layers 1 --model.feedforward 16 --model.receptive_seconds 0.1"
SETTINGS = [
    *SMALL.split(), "--data.seconds", "0.05", "--data.batch_size", "4", "--trainer.accelerator", "cpu",
    "--trainer.val_check_interval", "2", "--trainer.log_every_n_steps", "2",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    torch.manual_seed(0)
    parts = SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE)
    Codec(*parts, sample_rate=8000, bitrates=[4.0, 12.0]).save(tmp_path / "codec")
    rng = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        for index in range(2):
            path = tmp_path / "audio" / split / "noise" / f"{index}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.standard_normal(2000 + 900 * index), 8000)
    return tmp_path


def fit(folder: Path, steps: int, output: str, *more: str) -> int:
    words = ["--codec", str(folder / "codec"), "--config", "laptop", "--data", str(folder / "audio"), *SETTINGS]
    return run("fit-lm", [*words, "--output", str(folder / output), "--trainer.max_steps", str(steps), *more])


def test_a_run_that_was_stopped_goes_on_exactly_and_extracts_nothing_again(folder):
    # A constant rate: the recipe's falls to zero at the last batch, which would not be the same one.
    constant = ("--model.optimizer.schedule", "exponential")
    assert fit(folder, 4, "whole", *constant) == 0
    assert fit(folder, 2, "parts", *constant) == 0
    written = (folder / "parts" / "codes_train.safetensors").stat().st_mtime_ns
    assert fit(folder, 4, "parts", *constant) == 0
    assert (folder / "parts" / "codes_train.safetensors").stat().st_mtime_ns == written
    assert (folder / "whole" / "metrics.csv").read_text() == (folder / "parts" / "metrics.csv").read_text()
    whole, parts = (
        torch.load(folder / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "parts")
    )
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())
    rows = list(csv.DictReader((folder / "whole" / "metrics.csv").read_text().splitlines()))
    measured = next(row for row in rows if row["valid/bits"])
    # Bits of each of three codebooks, and 1,000 frames a second of one and of all of them.
    assert {"valid/bits_00", "valid/bits_01", "valid/bits_02", "valid/kbps_01", "valid/kbps_03"} <= set(measured)
    each = [float(measured[f"valid/bits_{k:02d}"]) for k in range(3)]
    assert float(measured["valid/kbps_03"]) == pytest.approx(sum(each), rel=1e-5)


def same_runs(left: Path, right: Path) -> None:
    assert (left / "metrics.csv").read_text() == (right / "metrics.csv").read_text()
    name = "language_model.safetensors"
    assert (left / name).read_bytes() == (right / name).read_bytes()
    before, after = (torch.load(one / "checkpoints" / "last.ckpt", weights_only=True) for one in (left, right))
    for key in ("state_dict", "optimizer_states", "global_step"):
        torch.testing.assert_close(before[key], after[key], rtol=0, atol=0)


def test_a_signal_ends_the_batch_keeps_it_and_a_fault_in_validation_costs_nothing(folder, monkeypatch, capsys):
    assert fit(folder, 6, "whole") == 0
    experiment = LanguageModelExperiment
    train, validate = experiment.training_step, experiment.validation_step

    def signalled(self, batch, batch_idx):
        if int(batch["batch"]) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(self, batch, batch_idx)

    def fails(self, batch, batch_idx):
        raise RuntimeError("a metric broke")

    monkeypatch.setattr(experiment, "training_step", signalled)
    with listening(), pytest.raises(Stopped) as ended:
        fit(folder, 6, "broken")
    assert ended.value.code == 128 + signal.SIGTERM
    assert "broken: stopped after batch 3; the same command continues it" in capsys.readouterr().err
    assert RunFolder(folder / "broken").steps == 3
    monkeypatch.setattr(experiment, "training_step", train)
    monkeypatch.setattr(experiment, "validation_step", fails)
    with pytest.raises(RuntimeError, match="a metric broke"):
        fit(folder, 6, "broken")
    left = RunFolder(folder / "broken")
    assert (left.steps, left.validation_due) == (4, True)
    monkeypatch.setattr(experiment, "validation_step", validate)
    assert fit(folder, 6, "broken") == 0
    same_runs(folder / "whole", folder / "broken")
    assert fit(folder, 6, "broken") == 0
    assert "is finished: 6 batches" in capsys.readouterr().err


def test_before_extraction_too_a_signal_says_that_the_command_continues(folder, monkeypatch, capsys):
    def requested(self):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(CodesData, "prepare_data", requested)
    words = ["--codec", str(folder / "codec"), "--config", "laptop", "--data", str(folder / "audio"), *SETTINGS]
    with pytest.raises(Stopped) as ended:
        main(["fit-lm", *words, "--output", str(folder / "run"), "--trainer.max_steps", "2"])
    assert ended.value.code == 130
    assert "codeclab fit-lm: stopped; the same command continues it" in capsys.readouterr().err
    assert RunLock(folder, "run", "train").holder is None


def test_a_second_command_says_who_trains_in_the_folder(folder, capsys):
    program = (
        "import sys; from pathlib import Path; from codeclab.experiments.runs.lock import RunLock; "
        "RunLock(Path(sys.argv[1]), 'run', 'train').hold('run'); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert fit(folder, 2, "run") == 2
        assert f"{folder / 'run'} is in use by process {other.pid} on " in capsys.readouterr().err
        assert not (folder / "run").exists()
        other.communicate()
    assert fit(folder, 2, "run") == 0


def test_a_run_of_an_older_version_keeps_its_best_validation(folder):
    assert fit(folder, 4, "run") == 0
    path = folder / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["callbacks"]["RunCheckpoint"]
    checkpoint["callbacks"]["LanguageModelCheckpoint"] = {"best": 0.001}  # better than any that follows
    torch.save(checkpoint, path)
    before = (folder / "run" / "language_model.safetensors").read_bytes()
    assert fit(folder, 6, "run") == 0
    assert torch.load(path, weights_only=True)["callbacks"]["RunCheckpoint"]["best_score"] == -0.001
    assert (folder / "run" / "language_model.safetensors").read_bytes() == before


def test_its_model_codes_files_beside_the_codec(folder, capsys):
    assert fit(folder, 2, "codec/language_model") == 0
    words = f"IN OUT --codec CODEC --entropy lm --language-model {folder / 'codec' / 'language_model'}"
    assert f"to code by it: codeclab encode {words}" in capsys.readouterr().err
    codec = Codec.from_pretrained(folder / "codec")
    assert Coders.beside(codec, folder / "codec").names == ["none", "static", "lm"]
    tensors = load_file(folder / "codec" / "language_model" / "language_model.safetensors")
    assert tensors["counts"].sum(1).tolist() == [613] * 3  # frames of 2,000 and 2,900 samples
    source, words = str(folder / "audio" / "valid" / "noise" / "1.wav"), ["--codec", str(folder / "codec")]
    for coder in ("none", "static", "lm"):
        assert code_files("encode", [source, str(folder / f"{coder}.clc"), *words, "--entropy", coder]) == 0
        assert code_files("decode", [str(folder / f"{coder}.clc"), str(folder / f"{coder}.wav"), *words]) == 0
        assert (folder / f"{coder}.wav").read_bytes() == (folder / "none.wav").read_bytes()


def test_what_its_coders_spend_is_printed_and_written(folder, capsys):
    words = ["--entropy", "--data", str(folder / "audio"), "-o", str(folder / "out")]
    assert evaluate("evaluate", [str(folder / "codec"), *words]) == 2
    assert "no entropy coder was fitted to this codec: codeclab fit-lm --codec" in capsys.readouterr().err
    assert fit(folder, 2, "lm") == 0
    capsys.readouterr()
    assert evaluate("evaluate", [str(folder / "codec"), *words, "--language-model", str(folder / "lm")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("| domain | nominal kbps | packed, kbps | static, kbps | language model, kbps |")
    assert [line.split(" | ")[:2] for line in printed[2:]] == [
        ["| noise", "4"], ["| noise", "12"], ["| all", "4"], ["| all", "12"]
    ]  # fmt: skip
    written = list(csv.DictReader((folder / "out" / "entropy.csv").read_text().splitlines()))
    assert {row["coder"] for row in written} == {"none", "static", "lm"}
    again = [*words, "--language-model", str(folder / "lm"), "--bitrates", "4"]
    assert evaluate("evaluate", [str(folder / "codec"), *again]) == 0
    assert "added to what was measured before" in capsys.readouterr().out
    assert list(csv.DictReader((folder / "out" / "entropy.csv").read_text().splitlines())) == written
    assert evaluate("evaluate", ["--baseline", "Opus", "--data", str(folder / "audio"), "--entropy"]) == 2
    assert "--entropy is for a codec of this package" in capsys.readouterr().err


def test_what_is_wrong_is_said(folder, capsys):
    assert fit(folder, 2, "run") == 0
    assert fit(folder, 2, "run", "--model.optimizer.lr", "0.5") == 2
    said = capsys.readouterr().err
    assert "holds a run with other settings" in said
    assert said.endswith("to continue it, or choose another --output.\n")
    (folder / "file").touch()
    assert fit(folder, 2, "file") == 2
    assert capsys.readouterr().err.endswith("file is a file\n")
    assert fit(folder, 2, "other", "--model.n_codebooks", "2") == 2
    assert "--model.n_codebooks is the codec's" in capsys.readouterr().err
    assert fit(folder, 2, "other", "--config", "nothing") == 2
    assert "no language-model recipe 'nothing'; there are: encodec, laptop" in capsys.readouterr().err
    assert run("fit-lm", ["--codec", str(folder / "codec")]) == 2
    assert "no audio was given; add --data FOLDER" in capsys.readouterr().err
    assert fit(folder, 2, "other", "--trainer.precision", "bf16-true") == 2
    assert "--trainer.precision bf16-true: codebooks, losses and STFTs need float32" in capsys.readouterr().err
    assert not (folder / "other").exists()
    codec = SimpleNamespace(quantizer=SimpleNamespace(codebook_sizes=[8, 16]))
    with pytest.raises(RecipeError, match=r"codebooks of one size .*has sizes \[8, 16\]"):
        sizes_of(codec)


def cycle(frames: int) -> SplitCodes:
    """Codes that follow from those before, and as frequent as each other: 3 bits a code by their frequencies."""
    row = np.arange(frames, dtype=np.int32) * 3 % 8
    return SplitCodes(np.stack([row, 7 - row]), np.array([0, frames // 2, frames]), ["a", "b"])


def test_it_learns_what_frequencies_do_not_know():
    codes = cycle(400)
    torch.manual_seed(0)
    small = {"dimension": 16, "n_layers": 1, "n_heads": 2, "feedforward": 32, "most_offset": 20}
    made = LanguageModelExperiment(2, 8, 50.0, [1, 2], receptive_seconds=0.5, **small)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    batches = TrainSequences(codes, 30, range(4), seed=0, n_batches=60)
    for index in range(60):
        batch = batches[index]
        spent, steps = made.bits(batch["codes"][:, : made.bandwidth(index)], made.offsets(index, batch["item"]))
        optimizer.zero_grad()
        (spent / steps).mean().backward()
        optimizer.step()
    test = codes.codes[:, 100:180].astype(np.int64)
    assert TableCoder(list(codes.counts([8, 8]))).bits(test) == pytest.approx(2 * 80 * 3, rel=1e-3)
    spent, steps = made.bits(torch.from_numpy(test)[None])
    coder = ModelCoder(made.model.eval())
    assert int(steps) == 80
    assert coder.bits(test) == pytest.approx(float(spent.sum().detach()), rel=0.05)
    assert coder.bits(test) < 0.25 * 2 * 80 * 3


def test_a_start_from_the_codec_begins_where_frequencies_end():
    torch.manual_seed(0)
    codec = Codec(SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE), sample_rate=8000)
    entries = vectors_of(codec.quantizer, 1)
    torch.testing.assert_close(entries, codec.quantizer.codebooks[1].entries)
    counts = np.tile(2 ** np.arange(16), (3, 1))
    codes = torch.multinomial(torch.from_numpy(counts[0]).double(), 3 * 500, replacement=True).view(1, 3, 500)
    static = TableCoder(list(counts)).bits(codes[0].numpy())
    made = LanguageModelExperiment(3, 16, 50.0, dimension=16, n_layers=1, n_heads=2, feedforward=8)
    before = float(made.bits(codes)[0].sum().detach())
    start_from_codec(made.model, codec, counts, seed=0)
    after = float(made.bits(codes)[0].sum().detach())
    assert after == pytest.approx(static, rel=0.03)
    assert before > 1.5 * static
    # Entries of a codebook stand to each other in the model as they stand in the codec.
    learnt = made.model.embeddings[1].weight[1:].detach()
    apart, wanted = torch.cdist(learnt, learnt), torch.cdist(entries, entries)
    assert np.corrcoef(apart.flatten(), wanted.flatten())[0, 1] > 0.9


def test_absent_codes_cost_nothing():
    made = LanguageModelExperiment(2, 8, 50.0, dimension=8, n_layers=1, n_heads=2, feedforward=8)
    codes = torch.randint(0, 8, (3, 2, 10))
    short = codes.clone()
    short[1:, :, 6:] = ABSENT
    spent, steps = made.bits(short)
    apart = made.bits(codes[:1])[0] + made.bits(codes[1:, :, :6])[0]
    assert int(steps) == 10 + 6 + 6
    torch.testing.assert_close(spent, apart)


def test_draws_are_the_papers():
    made = LanguageModelExperiment(4, 8, 50.0, [1, 2, 4], dimension=8, n_layers=1, n_heads=2, feedforward=8, seed=3)
    counts = [made.bandwidth(batch) for batch in range(300)]
    assert {count: counts.count(count) > 70 for count in set(counts)} == {1: True, 2: True, 4: True}
    assert made.bandwidth(7) == counts[7]
    offsets = torch.cat([made.offsets(batch, torch.arange(16)) for batch in range(20)])
    assert offsets.min() >= 0
    assert 8000 < int(offsets.max()) < 10000
    assert torch.equal(made.offsets(5, torch.tensor([3])), made.offsets(5, torch.arange(16))[3:4])


def test_sequences_cross_into_other_recordings_and_chunks_do_not():
    codes = cycle(40)
    batches = TrainSequences(codes, 25, range(2, 5), seed=0, n_batches=9)
    assert len(batches) == 9
    assert batches[3]["codes"].shape == (3, 2, 25)
    assert torch.equal(batches[3]["codes"][1], batches[3]["codes"][1])
    alone = TrainSequences(codes, 25, range(3, 4), seed=0, n_batches=9)[3]["codes"]
    assert torch.equal(alone[0], batches[3]["codes"][1])
    pieces = chunked(codes, 12)
    assert [piece.shape[1] for piece in pieces] == [12, 8, 12, 8]
    assert np.array_equal(np.concatenate(pieces, 1), codes.codes)
    assert [piece.shape[1] for piece in chunked(codes, 12, most=2)] == [12, 12]
    last = padded(pieces)[1]
    assert last.shape == (2, 12)
    assert (last[:, 8:] == ABSENT).all()


def test_the_papers_recipe_says_what_section_3_3_says():
    settings = yaml.safe_load((LANGUAGE_MODELS / "encodec.yaml").read_text())
    model, data = settings["model"], settings["data"]
    sizes = [model[name] for name in ("n_layers", "n_heads", "dimension", "feedforward", "receptive_seconds")]
    assert sizes == [5, 8, 200, 800, 3.5]
    assert (data["seconds"], data["batch_size"], settings["trainer"]["max_steps"]) == (5.0, 64, 300 * 2000)
    assert OptimizerSettings(**model["optimizer"]).betas == [0.5, 0.9]
    assert LanguageModelExperiment(frame_rate=75.0, n_codebooks=1).model.context == 262  # 3.5 s at 75 Hz


def test_callbacks_and_loggers_of_ones_own_are_added_to_the_runs(folder):
    own = ["--trainer.callbacks", "LearningRateMonitor", "--trainer.logger", "CSVLogger"]
    assert fit(folder, 2, "run", *own, "--trainer.logger.save_dir", str(folder / "logs")) == 0
    (theirs,) = (folder / "logs").rglob("metrics.csv")
    logged = theirs.read_text().splitlines()
    assert "lr-Adam" in logged[0]
    ours = (folder / "run" / "metrics.csv").read_text().splitlines()
    assert "valid/bits" in ours[0].split(",")
    assert RunFolder(folder / "run").steps == 2
