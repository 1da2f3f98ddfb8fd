"""Quantizers swapped in by flag train, at one rate a batch and at one an item, and load from where they are saved."""

import pytest
import torch

import codeclab
from codeclab.experiments.runs.build import build

FSQ = {"model__quantizer": "FSQ", "model__quantizer__pca_init": True}
RATES = {
    "encodec_24khz": {
        "model__quantizer__levels": "[4, 4]",
        "model__quantizer__n_codebooks": 8,
        "model__quantizer__groups": 2,
    },
    "dac_44khz": {"model__quantizer__levels": "[4, 4]", "model__quantizer__n_codebooks": 3},
}


@pytest.mark.parametrize("recipe", RATES)
def test_a_codec_with_fsq_trains_and_is_saved(recipe, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    settings = FSQ | RATES[recipe]
    words = [word for word in tiny(recipe, 3) if not word.startswith("--model.quantizer.")]
    flags = [f"--{name.replace('__', '.')}={value}" for name, value in settings.items()]
    cli = build("fit", [*words, *flags, f"--runs={tmp_path}", "--name=run"])
    cli.execute()
    quantizer = cli.model.codec.quantizer
    assert bool(quantizer.started)
    codec = codeclab.Codec.from_pretrained(tmp_path / "run")
    assert codec.quantizer.levels == [4, 4]
    audio = 0.1 * torch.randn(1, 1, 4 * codec.hop_length)
    for n_codebooks in (1, quantizer.n_codebooks):
        codes = codec.encode(audio, n_codebooks=n_codebooks)
        assert codec.decode(codes).shape == audio.shape
