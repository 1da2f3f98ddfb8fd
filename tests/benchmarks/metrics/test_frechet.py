"""The Fréchet audio distance: its formula, and a set of clips embedded by a model of transformers."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.evaluate import evaluate
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.metrics.frechet import Moments, embeddings, frechet_distance
from codeclab.experiments.contracts.metric import SetMetricContract


def moments(vectors: Tensor) -> Moments:
    statistics = Moments()
    for piece in vectors.split(7):
        statistics.update(piece)
    return statistics


def test_moments_in_pieces_are_those_of_the_whole() -> None:
    vectors = torch.randn(40, 5)
    mean, covariance = moments(vectors).mean_and_covariance()
    assert torch.allclose(mean, vectors.double().mean(0))
    assert torch.allclose(covariance, vectors.double().T.cov())


def test_the_distance_is_that_of_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    torch.manual_seed(0)
    first, second = torch.randn(60, 6) @ torch.randn(6, 6), 0.5 + torch.randn(50, 6) @ torch.randn(6, 6)
    expected = _compute_fid(*moments(first).mean_and_covariance(), *moments(second).mean_and_covariance())
    assert frechet_distance(moments(first), moments(second)) == pytest.approx(float(expected), rel=1e-8)
    assert frechet_distance(moments(first), moments(first)) == pytest.approx(0, abs=1e-9)
    assert math.isnan(frechet_distance(moments(first[:1]), moments(second)))


def test_of_one_dimension_by_hand() -> None:
    # Means 0 and 3, variances 1 and 4: 9 + 1 + 4 - 2 sqrt(4).
    first, second = torch.tensor([[-1.0], [0.0], [1.0]]), torch.tensor([[1.0], [3.0], [5.0]])
    assert frechet_distance(moments(first), moments(second)) == pytest.approx(9 + 1 + 4 - 4)


def write_model(folder: Path) -> None:
    import transformers

    torch.manual_seed(0)
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    layers = {"conv_dim": [8, 8], "conv_stride": [20, 16], "conv_kernel": [20, 16], "num_conv_pos_embeddings": 16}
    sizes = {**small, **layers, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**sizes)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16000).save_pretrained(folder)


class TestContract(SetMetricContract):
    """The contract with a model of random weights."""

    name = "frechet_audio_distance"

    @pytest.fixture(autouse=True)
    def _take_model(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_model(tmp_path / "model")
        monkeypatch.setenv("CODECLAB_FAD", str(tmp_path / "model"))


def test_a_codecs_distance_by_domain(
    fake_codec: Callable[[], Any], make_clip: Callable[..., Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model")
    monkeypatch.setenv("CODECLAB_FAD", str(tmp_path / "model"))
    silent = Clip("silent", "music", torch.zeros(1, 8000), 8000)
    clips = [make_clip("a", "speech"), make_clip("b", "music"), make_clip("c", "music"), silent]
    evaluation = evaluate(
        fake_codec(), clips, metrics=["frechet_audio_distance", "codebook_entropy", "token_perplexity"]
    )
    evaluation.save(tmp_path / "kept")
    summary = Evaluation.load(tmp_path / "kept").summary
    distance = summary[summary["metric"] == "frechet_audio_distance"].set_index(["domain", "bitrate_kbps"])
    assert set(distance.index) == {(d, r) for d in ("all", "speech", "music") for r in (16.0, 64.0)}
    for domain in ("all", "speech", "music"):
        assert 0 <= distance["mean"][domain, 64.0] < distance["mean"][domain, 16.0]
    assert list(distance.loc[("music", 16.0), ["n", "failed"]]) == [2, 1]
    codes = evaluation.codebooks.query("codebook != 'all' and domain == 'speech' and bitrate_kbps == 64.0")[
        "entropy_bits"
    ]
    of_speech = summary[(summary["domain"] == "speech") & (summary["bitrate_kbps"] == 64.0)].set_index("metric")["mean"]
    assert len(codes) == 4
    assert of_speech["codebook_entropy"] == pytest.approx(sum(codes) / 4)
    assert of_speech["token_perplexity"] == pytest.approx(sum(2**bits for bits in codes) / 4)
    assert of_speech["token_perplexity"] <= 16


def test_clap_takes_windows_of_ten_seconds_every_second(tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    audio = {"depths": [1, 1], "num_attention_heads": [1, 1], "patch_embeds_hidden_size": 8, "hidden_size": 16}
    sizes = {"num_mel_bins": 64, "spec_size": 256, "window_size": 8, "num_hidden_layers": 2, "projection_dim": 12}
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.ClapConfig(
        text_config={**text, "vocab_size": 10, "projection_dim": 12}, audio_config={**audio, **sizes}, projection_dim=12
    )
    transformers.ClapModel(config).save_pretrained(tmp_path)
    transformers.ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(tmp_path)
    vectors = embeddings(0.1 * torch.randn(1, 2 * 24000 + 1), 24000, "reference", str(tmp_path))
    assert vectors.shape == (3, 12)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
