"""The recipes after the first two: what they build, that quantizers swap in, that they train; sizes of all."""

import csv
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel

import codeclab
from codeclab.discriminators.mono_stft import MonoSTFTDiscriminator
from codeclab.discriminators.msd import MultiScaleDiscriminator
from codeclab.discriminators.msstft import MSSTFTDiscriminator
from codeclab.experiments.config.files import RECIPES, names, read_yaml
from codeclab.experiments.runs.build import build

NEXT = sorted(set(names(RECIPES)) - {"encodec_24khz", "dac_44khz"})
"""The other two are trained, and their parts swapped, in test_training_step.py and test_recipes.py."""

SWAPS = [
    ("encodec_24khz_nonstreamable", "FactorizedVQ"),
    ("encodec_24khz_nonstreamable", "DiffQ"),
    ("encodec_48khz", "FactorizedVQ"),
    ("encodec_48khz", "GumbelSoftmax"),
    ("soundstream_24khz", "DiffQ"),
    ("dac_16khz", "ResidualVQ"),
    ("dac_24khz", "GumbelSoftmax"),
    ("dac_44khz_16kbps", "DiffQ"),
]


@pytest.mark.parametrize(("recipe", "quantizer"), SWAPS)
def test_quantizers_swap_in(recipe: str, quantizer: str) -> None:
    """Each quantizer into recipes of every family."""
    words = ["--config", recipe, "--scale", "laptop", "--dry-run", "--model.quantizer", quantizer]
    model = build("fit", [*words, "--model.discriminators", "[]"]).model
    codec = model.codec
    assert type(codec.quantizer).__name__ == quantizer
    audio = 0.1 * torch.randn(1, codec.channels, 4 * codec.hop_length)
    decoded, quantized = codec(audio, model.main_codebooks)
    assert decoded.shape == audio.shape
    assert torch.isfinite(decoded).all()
    assert all(torch.isfinite(loss) for loss in quantized.losses.values())


@pytest.mark.parametrize("recipe", NEXT)
def test_a_training_step_of_the_recipe(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    short = ["--data.seconds", "0.1", "--data.clip_seconds", "0.3", "--data.valid_clips", "1", "--trainer.max_steps",
             "1", "--trainer.val_check_interval", "1", "--trainer.accelerator", "cpu", "--trainer.limit_val_batches",
             "0", "--trainer.log_every_n_steps", "1", "--model.discriminator_probability", "1",
             "--model.quantizer_start", "0", "--model.quantizer_start_frames", "0", "--model.adversarial_start", "0",
             ]  # fmt: skip
    cli = build("fit", ["--config", recipe, "--scale", "laptop", "--runs", str(tmp_path), "--name", "run", *short])
    before = {name: value.clone() for name, value in cli.model.named_parameters()}
    cli.execute()
    with cli.folder.metrics.open(newline="") as file:
        (row,) = csv.DictReader(file)
    figures = {name: float(value) for name, value in row.items() if value}
    assert all(math.isfinite(figure) for figure in figures.values())
    assert {"train/spectral", "train/discriminator", "train/adversarial", "train/feature"} <= figures.keys()
    moved = {name for name, value in cli.model.named_parameters() if not torch.equal(value, before[name])}
    assert {name for name in before if name.startswith(("codec.encoder.", "codec.decoder."))} <= moved
    assert any(name.startswith("discriminators.") for name in moved)


def weights(module: nn.Module) -> int:
    """Learnt numbers but for weight norm's gains, which saved models fold into the weights."""
    return sum(p.numel() for name, p in module.named_parameters() if not name.endswith(("original0", "embed")))


THEIRS = {
    "encodec_24khz": EncodecConfig(),
    "encodec_24khz_streaming": EncodecConfig(pad_mode="constant"),
    "encodec_24khz_nonstreamable": EncodecConfig(
        use_causal_conv=False, norm_type="time_group_norm", normalize=True, chunk_length_s=1.0, overlap=0.01
    ),
    "encodec_48khz": EncodecConfig(
        target_bandwidths=[3.0, 6.0, 12.0, 24.0], sampling_rate=48000, audio_channels=2, use_causal_conv=False,
        norm_type="time_group_norm", normalize=True, chunk_length_s=1.0, overlap=0.01,
    ),
    "dac_16khz": DacConfig(sampling_rate=16000, n_codebooks=12, downsampling_ratios=[2, 4, 5, 8]),
    "dac_24khz": DacConfig(sampling_rate=24000, n_codebooks=32, downsampling_ratios=[2, 4, 5, 8]),
    "dac_44khz": DacConfig(sampling_rate=44100, n_codebooks=9, downsampling_ratios=[2, 4, 8, 8]),
    "dac_44khz_16kbps": DacConfig(sampling_rate=44100, n_codebooks=18, downsampling_ratios=[2, 4, 8, 8]),
}  # fmt: skip
THEIRS["dac_44khz_16kbps"].hidden_size = 128  # the class derives it; the released conf sets it


@pytest.mark.parametrize("recipe", THEIRS)
def test_a_codec_is_as_large_as_the_released_one(recipe: str) -> None:
    config = THEIRS[recipe]
    ours = codeclab.Codec.from_recipe(recipe)
    with torch.device("meta"):
        theirs = EncodecModel(config) if isinstance(config, EncodecConfig) else DacModel(config)
    assert weights(ours) == weights(theirs)
    assert ours.sample_rate == config.sampling_rate
    assert ours.hop_length == config.hop_length
    if isinstance(config, EncodecConfig):
        assert ours.bitrates == list(config.target_bandwidths)
        assert ours.quantizer.n_codebooks == config.num_quantizers
        cut = (ours.channels, ours.segment, ours.normalize)
        assert cut == (config.audio_channels, config.chunk_length_s, config.normalize)
        if config.chunk_length_s:
            assert ours.segments.length == config.chunk_length
            assert ours.segments.stride == config.chunk_stride
    else:
        assert ours.quantizer.n_codebooks == config.n_codebooks
        assert ours.quantizer.codebook_dim == config.codebook_dim


def test_soundstreams_own_figures() -> None:
    """Residual units of SoundStream's figure 3; discriminators of its section III-D, normalized as in EnCodec's A.1."""
    codec = codeclab.Codec.from_recipe("soundstream_24khz")
    convs = [part for part in codec.encoder.modules() if isinstance(part, nn.Conv1d)]
    blocks = [[7, 1] * 3 + [2 * stride] for stride in (2, 4, 5, 8)]
    assert [conv.kernel_size[0] for conv in convs] == [7, *sum(blocks, []), 3]
    assert [conv.dilation[0] for conv in convs if conv.kernel_size[0] == 7] == [1, *[1, 3, 9] * 4]
    assert [conv.out_channels for conv in convs if conv.stride[0] > 1] == [64, 128, 256, 512]
    assert not any(isinstance(part, nn.LSTM) for part in codec.modules())
    assert not [name for name, _ in codec.named_parameters() if "parametrizations" in name or "norm" in name]


def discriminators(recipe: str) -> list[list[nn.Module]]:
    """The discriminators of each ensemble; the scale narrows their maps and leaves the rest."""
    model = build("fit", ["--config", recipe, "--scale", "mini", "--dry-run"]).model
    return [list(ensemble.discriminators) for ensemble in model.discriminators]


def test_the_48_khz_discriminators_are_the_papers() -> None:
    """EnCodec 3.4: windows doubled, left and right apart, one ensemble a bandwidth."""
    ensembles = discriminators("encodec_48khz")
    assert len(ensembles) == 4
    (judge,) = ensembles[0]
    assert isinstance(judge, MSSTFTDiscriminator)
    assert judge.n_ffts == [4096, 2048, 1024, 512, 256]
    assert (judge.channels, judge.separate_channels) == (2, True)
    real_and_imaginary = judge.networks[0].stack.convs[0].in_channels
    assert real_and_imaginary == 2


def test_soundstreams_discriminators_are_the_papers() -> None:
    """EnCodec A.1: STFTD + MSD, spectral norm at full rate, weight norm at the others."""
    (pair,) = discriminators("soundstream_24khz")
    assert [type(one) for one in pair] == [MonoSTFTDiscriminator, MultiScaleDiscriminator]
    norms = [type(network.post.parametrizations.weight[0]).__name__ for network in pair[1].networks]
    assert norms == ["_SpectralNorm", "_WeightNorm", "_WeightNorm"]


def test_the_papers_letter_differs_from_the_released_recipe_where_it_says_so() -> None:
    letter = build("fit", ["--config", "encodec_24khz_paper", "--scale", "mini", "--dry-run"]).model
    for part in (letter.codec.encoder, letter.codec.decoder):
        units = [m for m in part.modules() if type(m).__name__ == "ResidualUnit"]
        assert [m.kernel_size[0] for unit in units for m in unit.body.modules() if isinstance(m, nn.Conv1d)] == [
            3,
            3,
        ] * 4
    assert letter.codec.quantizer.commitment == "sum"
    assert letter.spectral_loss.as_printed
    assert type(letter.adversarial_loss).__name__ == "HingeLoss"
    judge = letter.discriminators[0].discriminators[0]
    assert list(judge.kernel_size) == [3, 8]
    assert judge.normalize_first


def test_each_recipe_has_the_hinge_its_source_has() -> None:
    losses = {
        name: read_yaml(RECIPES / f"{name}.yaml")["model"]["adversarial_loss"]["class_path"] for name in names(RECIPES)
    }
    assert {name for name, loss in losses.items() if loss == "HingeGANLoss"} == {"dac_44khz", "dac_44khz_ablation"}
    assert {name for name, loss in losses.items() if loss == "LeastSquaresLoss"} == {
        "dac_16khz", "dac_24khz", "dac_44khz_16kbps",
    }  # fmt: skip
