"""Recipes, scales and swaps: what is built, in which order settings win, and that a run's config builds it again."""

import re
from pathlib import Path

import pytest
import torch
import yaml

import codeclab
from codeclab.experiments.config.files import RECIPES
from codeclab.experiments.config.scales import read_scale
from codeclab.experiments.runs.build import CodecCLI, build

DEMO = ["--scale", "laptop", "--dry-run"]


def built(*words: str) -> CodecCLI:
    return build("fit", list(words))


def shapes(module: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items() if isinstance(tensor, torch.Tensor)}


@pytest.mark.parametrize("recipe", ["encodec_24khz", "dac_44khz"])
@pytest.mark.parametrize("encoder", ["SEANetEncoder", "DACEncoder"])
@pytest.mark.parametrize("quantizer", ["ResidualVQ", "FactorizedVQ", "FSQ", "PackageVQ", "GumbelSoftmax", "DiffQ"])
@pytest.mark.parametrize("decoder", ["SEANetDecoder", "DACDecoder"])
def test_any_encoder_with_any_quantizer_with_any_decoder(
    recipe: str, encoder: str, quantizer: str, decoder: str
) -> None:
    parts = ["--model.encoder", encoder, "--model.quantizer", quantizer, "--model.decoder", decoder]
    words = ["--config", recipe, *DEMO, *parts, "--model.discriminators", "[]"]
    codec = built(*words).model.codec
    assert [type(part).__name__ for part in (codec.encoder, codec.quantizer, codec.decoder)] == parts[1::2]
    assert codec.quantizer.dimension == codec.decoder.dimension == codec.encoder.dimension
    if hasattr(codec.quantizer, "frame_rate"):
        assert codec.quantizer.frame_rate == pytest.approx(codec.sample_rate / codec.hop_length)
    audio = 0.1 * torch.randn(1, 1, 4 * codec.hop_length)
    with torch.no_grad():
        decoded, _ = codec(audio)
    assert decoded.shape == audio.shape


OWN = {
    "model": {
        "sample_rate": 24000,
        "encoder": {"class_path": "SEANetEncoder", "init_args": {"dimension": 32}},
        "quantizer": {"class_path": "ResidualVQ", "init_args": {"n_codebooks": 2, "codebook_size": 16}},
        "decoder": {"class_path": "SEANetDecoder", "init_args": {"n_filters": 6}},
        "discriminators": ["MultiPeriodDiscriminator"],
        "spectral_loss": "MultiScaleMelLoss",
    },
    "data": {"batch_size": 3},
    "trainer": {"max_steps": 7},
}


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(OWN))
    return str(path)


def sizes(cli: CodecCLI) -> dict[str, int]:
    model = cli.config.model
    return {
        "encoder": model.encoder.init_args.n_filters,
        "decoder": model.decoder.init_args.n_filters,
        "discriminators": [discriminator.init_args.n_filters for discriminator in model.discriminators],
        "batch": cli.config.data.batch_size,
        "steps": cli.config.trainer.max_steps,
    }


def test_defaults_then_recipe_then_scale_then_flags(own: str) -> None:
    plain = ["--config", own, "--dry-run"]
    assert sizes(built(*plain)) == {"encoder": 32, "decoder": 6, "discriminators": [32], "batch": 3, "steps": 7}
    scaled = [*plain, "--scale", "mini"]
    assert sizes(built(*scaled)) == {"encoder": 16, "decoder": 16, "discriminators": [4], "batch": 3, "steps": 1500}
    flags = ["--model.encoder.n_filters", "5", "--data.batch_size", "2", "--model.discriminators+=MSSTFTDiscriminator",
             "--model.discriminators.n_filters", "3"]  # fmt: skip
    spoken = {"encoder": 5, "decoder": 16, "discriminators": [4, 3], "batch": 2, "steps": 1500}
    assert sizes(built(*scaled, *flags)) == spoken


def test_a_scale_sizes_the_parts_that_are_swapped_in_and_the_settings_in_blocks(own: str) -> None:
    cli = built("--config", own, "--scale", "laptop", "--dry-run", "--model.encoder", "DACEncoder",
                "--model.encoder.strides", "[2, 4, 5, 8]", "--model.discriminators+=MultiBandSTFTDiscriminator",
                "--model.optimizer", "{lr: 0.5}")  # fmt: skip
    assert cli.config.model.encoder.init_args.n_filters == read_scale("laptop")["parts"]["DACEncoder"]["n_filters"]
    assert cli.model.codec.encoder.dimension == read_scale("laptop")["parts"]["DACEncoder"]["dimension"]
    assert cli.config.model.discriminators[1].init_args.window_lengths == [1024, 512]
    assert cli.config.model.optimizer.lr == 0.5


@pytest.mark.parametrize("recipe", ["encodec_24khz", "dac_44khz"])
def test_a_runs_config_builds_the_same_again_without_its_scale(recipe: str, tmp_path: Path) -> None:
    swap = ["--model.quantizer", "GumbelSoftmax", "--model.discriminators+=MonoSTFTDiscriminator"]
    first = built("--config", recipe, "--runs", str(tmp_path), *DEMO, *swap)
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(first.settings))
    again = built("--config", str(folder), "--dry-run")
    assert again.folder.path == folder
    assert again.folder.differences(again.settings) == []
    assert shapes(again.model) == shapes(first.model)
    assert not again.request.dropped


@pytest.mark.parametrize("recipe", ["encodec_24khz", "dac_44khz"])
def test_from_recipe_is_what_fit_builds(recipe: str) -> None:
    trained, plain = built("--config", recipe, *DEMO).model.codec, codeclab.Codec.from_recipe(recipe, scale="laptop")
    assert shapes(trained) == shapes(plain)
    assert str(trained) == str(plain)
    assert (trained.bitrates, trained.sample_rate) == (plain.bitrates, plain.sample_rate)


def test_from_recipe_refuses_what_fit_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recipe 'mimi'; there are: dac_16khz"):
        codeclab.Codec.from_recipe("mimi")
    with pytest.raises(ValueError, match="no scale 'big'; there are: lab, laptop"):
        codeclab.Codec.from_recipe("dac_44khz", scale="big")
    for name, content in {"empty": "", "list": "[1]", "broken": "a: [", "no_model": "data: {}"}.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(content)
        with pytest.raises(ValueError, match="mapping|not YAML|no 'model' section"):
            codeclab.Codec.from_recipe(str(path))


RELEASED = [
    (r"class_path: MultiScaleMelLoss .*eq\. 1; released: L2 of log-mels, squared", 1),
    (r"commitment: 1\.0 .*eq\. 4.*; released: λ_w, and eq\. 3 as a mean", 1),
    (r"residual_kernel_size: 3 .*released: then 1 \(§3\.1: two of 3\)", 2),
    (r"class_path: MSSTFTDiscriminator .*released: kernels 3 x 9 \(§3\.4: 3 x 8\), first not normalized", 1),
]
"""Where the released EnCodec differs from its paper, and how many lines of a recipe that is."""

LETTER = [
    (r"residual_last_kernel_size: 3 .*§3\.1; released: 1", 2),
    (r"commitment: sum .*eq\. 3; released: a mean", 1),
    (r"kernel_size: \[3, 8\] .*§3\.4; released: 3 x 9", 1),
    (r"normalize_first: true .*§3\.4; released: all but the first", 1),
    (r"as_printed: true .*released: L2 of log-mels, squared, and means", 1),
    (r"commitment: 1\.0 .*released: λ_w", 1),
]


@pytest.mark.parametrize(
    ("recipe", "marks"),
    [
        *((f"encodec_{kind}", RELEASED) for kind in ("24khz", "24khz_streaming", "24khz_nonstreamable", "48khz")),
        ("soundstream_24khz", RELEASED[:2]),  # its nets and discriminators are SoundStream's
        ("encodec_24khz_paper", LETTER),
    ],
)
def test_what_follows_the_released_encodec_is_marked(recipe: str, marks: list[tuple[str, int]]) -> None:
    text = (RECIPES / f"{recipe}.yaml").read_text(encoding="utf-8")
    assert '# "released" marks where the paper leaves open or says otherwise and facebookresearch/encodec' in text
    for pattern, count in marks:
        assert len(re.findall(pattern, text)) == count, pattern
