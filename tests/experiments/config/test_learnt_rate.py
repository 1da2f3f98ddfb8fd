"""Quantizers that learn their bitrate, in both recipes by flag: the rate asked for is reached, measured and kept."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.evaluate import evaluate
from codeclab.codecs.codec import Codec
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.build import CodecCLI, build
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax

DEMO = ["--scale", "laptop", "--dry-run"]


def built(*words: str) -> CodecCLI:
    return build("fit", list(words))


@pytest.mark.parametrize(
    ("recipe", "quantizer", "left_out"),
    [
        ("encodec_24khz", "DiffQ", ["bitrates [1.5, 3, 6, 12, 24]", "ensemble_per_bandwidth True",
                                    "rate_sampling PerBatchBandwidth"]),
        ("dac_44khz", "GumbelSoftmax", ["rate_sampling CodebookDropout"]),
    ],
)  # fmt: skip
def test_a_quantizer_that_learns_its_rate_needs_no_more_than_its_flag(
    recipe: str, quantizer: str, left_out: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", recipe, *DEMO, "--model.quantizer", quantizer, "--model.quantizer.target_bitrate", "3"]
    model = built(*words, "--model.discriminators", "[]").model
    assert len(model.codec.bitrates) == 1
    assert model.codec.quantizer.target_bitrate == 3
    notes = [line for line in capsys.readouterr().err.splitlines() if "learns its one bitrate" in line]
    begin = f"note: quantizer is {quantizer}, which learns its one bitrate: "
    assert sorted(notes) == sorted(f"{begin}{one} is left out" for one in left_out)


def test_what_a_flag_asks_of_a_learnt_rate_is_not_left_out_but_refused() -> None:
    words = ["--config", "encodec_24khz", *DEMO, "--model.quantizer", "DiffQ", "--model.discriminators", "[]"]
    for flag, value in (("bitrates", "[6]"), ("rate_sampling", "CodebookDropout")):
        with pytest.raises(RecipeError, match=rf"If DiffQ learns its own bitrate, add .*--model.{flag} (null|AllC)"):
            built(*words, f"--model.{flag}", value)
    # Of an error that is no bitrate's, whatever it speaks of, such flags would be no cure.
    with pytest.raises(RecipeError) as size:
        built(
            *words, "--model.bitrates", "[6]", "--model.quantizer", "GumbelSoftmax", "--model.quantizer.n_codebooks=0"
        )
    assert "n_codebooks 0" in str(size.value)
    assert "AllCodebooks" not in str(size.value)
    with pytest.raises(RecipeError) as other:
        built(*words, "--model.encoder.strides", "[2,4]")
    assert "strides are [2, 4] and the decoder's [2, 4, 5, 8]" in str(other.value)
    assert "AllCodebooks" not in str(other.value)


@pytest.fixture
def codec() -> Codec:
    torch.manual_seed(0)
    sizes = {"dimension": 4, "n_filters": 2, "strides": (4,), "lstm_layers": 0}
    quantizer = GumbelSoftmax(dimension=4, n_codebooks=2, codebook_size=8, frame_rate=2000.0)
    quantizer.prior_logits.data.normal_()
    return Codec(SEANetEncoder(**sizes), quantizer, SEANetDecoder(**sizes), sample_rate=8000).eval()


def spent(codec: Codec, audio: torch.Tensor) -> torch.Tensor:
    """Bits of each frame, ``[B, T]``, by the exported prior."""
    prior = codec.quantizer.log_prior().detach() / -math.log(2)
    return sum(prior[k][codes] for k, codes in enumerate(codec.encode(audio).codes.unbind(1)))


def test_the_rate_is_measured_offered_and_kept(codec: Codec, tmp_path: Path) -> None:
    clips = [0.1 * torch.randn(2, 1, 400), 0.3 * torch.randn(1, 1, 100)]
    assert codec.bitrates == [pytest.approx(2 * 3 * 2000 / 1000)]
    bits = torch.cat([spent(codec, clip).flatten() for clip in clips])
    kbps = codec.measure_rate(clips)
    assert kbps == pytest.approx(float(bits.mean()) * 2)
    assert codec.bitrates == [pytest.approx(kbps)]
    assert abs(kbps - 12) > 0.1
    for clip in clips:
        assert codec.encode(clip).bitrate == pytest.approx(float(spent(codec, clip).mean()) * 2)
    codec.save(tmp_path)
    again = Codec.from_pretrained(tmp_path)
    assert again.bitrates == codec.bitrates
    assert torch.equal(again.quantizer.log_prior(), codec.quantizer.log_prior())
    assert torch.equal(again.encode(clips[0], bitrate=kbps).codes, codec.encode(clips[0]).codes)
    with pytest.raises(ValueError, match="no clips"):
        codec.measure_rate([])


def test_a_folder_from_before_rates_were_measured_loads(codec: Codec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for argument in ("measured_bits", "alpha"):
        del config["quantizer"]["arguments"][argument]
    (tmp_path / "config.json").write_text(json.dumps(config))
    again = Codec.from_pretrained(tmp_path)
    assert again.bitrates == [pytest.approx(12.0)]
    assert torch.equal(again.quantizer.log_prior(), codec.quantizer.log_prior())


def test_an_evaluation_gives_what_the_codes_cost(codec: Codec) -> None:
    clips = [Clip(name, "noise", level * torch.randn(1, 800), 8000) for name, level in (("a", 0.01), ("b", 0.5))]
    evaluation = evaluate(codec, clips, metrics=["si_sdr", "bitrate_efficiency"])
    costs = [float(spent(codec, clip.audio[None]).mean()) * 2 for clip in clips]
    assert evaluation.per_file.codes_kbps.tolist() == pytest.approx(costs)
    mean = pytest.approx(sum(costs) / 2)
    assert evaluation.per_file.bitrate_kbps.tolist() == [mean, mean]
    assert evaluation.info["bitrates_kbps"] == [mean]
    assert set(evaluation.summary.metric) == {"si_sdr", "bitrate_efficiency"}
    assert evaluation.summary.bitrate_kbps.tolist() == [mean] * len(evaluation.summary)


TINY = ["--config", "encodec_24khz", "--model.encoder.n_filters", "2", "--model.encoder.dimension", "4",
        "--model.decoder.n_filters", "2", "--model.discriminators", "[]", "--data.batch_size", "2",
        "--data.seconds", "0.2", "--data.workers", "0", "--data.valid_clips", "2", "--data.clip_seconds", "0.2",
        "--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1", "--name", "run"]  # fmt: skip


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("quantizer", ["DiffQ", "GumbelSoftmax"])
def test_a_run_measures_its_rate(
    quantizer: str, validated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    words = [*TINY, "--runs", str(tmp_path), "--model.quantizer", quantizer, "--model.quantizer.alpha", "30",
             "--model.quantizer.target_bitrate", "0.5", "--trainer.max_steps", "3", "--trainer.val_check_interval", "3",
             "--model.validation_metrics", "[mel_distance]"]  # fmt: skip
    words += [] if validated else ["--trainer.limit_val_batches", "0"]
    if quantizer == "GumbelSoftmax":
        words += ["--model.quantizer.n_codebooks", "2", "--model.quantizer.codebook_size", "16"]
    cli = built(*words)
    before = cli.model.codec.bitrates
    cli.execute()
    codec = Codec.from_pretrained(cli.folder.codec)
    (kbps,) = codec.bitrates
    assert kbps < before[0]
    assert kbps == pytest.approx(codec.measure_rate(clip.audio[None] for clip in cli.datamodule.clips("valid")))
    with cli.folder.metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["train/bitrate"]) > 0 for row in rows if row["train/bitrate"]] == [True] * 3
    logged = [float(row["valid/bitrate"]) for row in rows if row.get("valid/bitrate")]
    assert logged == ([pytest.approx(kbps)] if validated else [])


@pytest.mark.filterwarnings("ignore:Total length of")  # Lightning, of the empty split
def test_without_validation_clips_it_is_measured_on_those_for_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    (tmp_path / "audio").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 24000)
    soundfile.write(tmp_path / "audio" / "one.wav", noise, 24000)
    words = ["--data", str(tmp_path / "audio"), "--model.quantizer", "DiffQ", "--trainer.max_steps", "1"]
    cli = built(*TINY, "--runs", str(tmp_path), *words)
    cli.execute()
    (kbps,) = Codec.from_pretrained(cli.folder.codec).bitrates
    assert kbps == pytest.approx(
        cli.model.deployed_codec.measure_rate(clip.audio[None] for clip in cli.datamodule.clips("train"))
    )


SIZES = ["--model.quantizer.n_codebooks", "4", "--model.quantizer.codebook_size", "16"]


@pytest.mark.parametrize(
    ("recipe", "quantizer", "start", "target", "steps"),
    [
        ("encodec_24khz", "DiffQ", 9.0, 4.5, 160),
        ("dac_44khz", "DiffQ", 41.34, 20.0, 160),
        ("encodec_24khz", "GumbelSoftmax", 1.2, 0.9, 300),
        ("dac_44khz", "GumbelSoftmax", 1.378, 1.0, 300),
    ],
)
def test_a_short_training_reaches_the_target(
    recipe: str, quantizer: str, start: float, target: float, steps: int
) -> None:
    """The recipe's quantizer, optimizer and weights at a small scale, between small networks that code noise."""
    words = ["--config", recipe, *DEMO, "--model.quantizer", quantizer, "--model.quantizer.target_bitrate",
             str(target), *(SIZES if quantizer == "GumbelSoftmax" else []), "--model.discriminators", "[]",
             "--model.encoder.dimension", "16" if recipe == "encodec_24khz" else "64",
             "--model.optimizer.lr", "0.001", "--model.optimizer.betas",
             "[0.5,0.9]" if recipe == "encodec_24khz" else "[0.8,0.99]"]  # fmt: skip
    model = built(*words).model
    part, frame_rate = model.codec.quantizer, model.codec.frame_rate
    assert model.codec.bitrates == [pytest.approx(start, rel=1e-3)]
    torch.manual_seed(0)
    dimension = part.dimension
    mix = torch.randn(dimension, dimension) / dimension**0.5
    encoder = nn.Sequential(nn.Conv1d(dimension, 32, 1), nn.ELU(), nn.Conv1d(32, dimension, 1))
    decoder = nn.Sequential(nn.Conv1d(dimension, 32, 1), nn.ELU(), nn.Conv1d(32, dimension, 1))
    optimizer = model.optimizer_settings.build([*encoder.parameters(), *part.parameters(), *decoder.parameters()])
    for _ in range(steps):
        heard = mix @ torch.randn(2, dimension, 28)
        out = part(encoder(heard))
        latent = sum(getattr(model.weights, name) * loss for name, loss in out.losses.items())
        loss = model.weights.spectral * (decoder(out.latent) - heard).square().mean() + latent
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    codes = part.eval().encode(encoder(mix @ torch.randn(8, dimension, 200)))
    assert float(part.code_bits(codes).mean()) * frame_rate / 1000 == pytest.approx(target, rel=0.05)
