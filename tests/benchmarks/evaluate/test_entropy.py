"""What coders spend on clips, per bitrate and domain, against files and against counting by hand."""

import numpy as np
import pytest
import torch

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.entropy import coded_bits, entropy_rates, entropy_text
from codeclab.benchmarks.evaluate.evaluate import evaluate
from codeclab.benchmarks.evaluate.speed import codec_columns
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.container_writer import write_container
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.entropy.model_folder import FittedModel
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}


def make(**settings: object) -> Codec:
    torch.manual_seed(0)
    parts = SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE)
    return Codec(*parts, sample_rate=8000, bitrates=[4.0, 12.0], **settings).eval()


def coders_of(codec: Codec) -> dict:
    torch.manual_seed(1)
    model = LanguageModel(3, 16, dimension=8, n_layers=1, n_heads=2, feedforward=8, context=20).eval()
    counts = np.arange(48, dtype=np.int64).reshape(3, 16)
    made = Coders(codec, FittedModel(model, counts))
    return {name: made.named(name) for name in made.names}


def clips() -> list[Clip]:
    generator = torch.Generator().manual_seed(0)
    return [
        Clip(name, domain, 0.1 * torch.randn(1, samples, generator=generator), 8000)
        for name, domain, samples in (("a", "speech", 8000), ("b", "speech", 24001), ("c", "music", 3000))
    ]


@pytest.mark.parametrize("settings", [{}, {"segment": 0.5, "overlap": 0.1, "normalize": True}])
def test_a_file_spends_what_is_said(tmp_path, settings):
    codec = make(**settings)
    codes = codec.encode(torch.randn(1, 1, 30000, generator=torch.Generator().manual_seed(0)))
    for coder in coders_of(codec).values():
        writer = write_container(tmp_path / "a.clc", codes, codec, coder)
        # Every chunk is filled up to whole bytes, and the arithmetic coder ends with a few bits more.
        chunks = writer._chunks
        assert 0 <= 8 * writer.payload - coded_bits(codec, codes, coder) <= 40 * chunks


def test_clips_without_a_domain_count_once():
    """A folder without domains gives its clips the domain "all"."""
    codec = make()
    alone = [Clip(clip.name, "all", clip.audio, clip.sample_rate) for clip in clips()]
    rates = entropy_rates(codec, {"none": coders_of(codec)["none"]}, alone, [12.0])
    assert rates[["domain", "n"]].to_numpy().tolist() == [["all", 3]]
    assert rates["seconds"].item() == pytest.approx((8000 + 24001 + 3000) / 8000)
    together = evaluate(codec, alone, [12.0], ["codebook_usage"])
    assert together.summary[["domain", "n"]].to_numpy().tolist() == [["all", 3]]


def test_rates_are_of_all_samples_of_a_domain():
    codec = make()
    coders = coders_of(codec)
    result = entropy_rates(codec, coders, clips()).set_index(["domain", "bitrate_kbps", "coder"])
    whole = {clip.name: codec.encode(clip.audio[None], n_codebooks=3) for clip in clips()}
    bits = coded_bits(codec, whole["a"], coders["static"]) + coded_bits(codec, whole["b"], coders["static"])
    speech = result.loc["speech", 12.0, "static"]
    assert speech["kbps"] == pytest.approx(bits / 1000 / (32001 / 8000))
    assert speech["n"] == 2
    packed = result.loc["speech", 12.0, "none"]["kbps"]
    assert packed == pytest.approx(12 * (1000 + 3001) * 8 / 32001)  # the last frame of b is of one sample
    assert speech["saved"] == pytest.approx(1 - speech["kbps"] / packed)
    assert set(result.index.get_level_values("domain")) == {"speech", "music", "all"}
    text = entropy_text(result.reset_index())
    assert text.splitlines()[0].startswith(
        "| domain | nominal kbps | packed, kbps | static, kbps | language model, kbps"
    )
    assert f"| speech | 12 | {packed:.3f} | {speech['kbps']:.3f} |" in text


def test_levels_and_overlap_count_in_printed_kbps():
    codec = make(segment=0.5, overlap=0.1, normalize=True)
    clip = clips()[1]
    result = entropy_rates(codec, {"none": coders_of(codec)["none"]}, [clip], [4.0])
    starts = range(0, 24001, 3600)
    frames = sum(-(-min(4000, 24001 - start) // 8) for start in starts)
    by_hand = (4 * frames + 32 * len(starts)) / 1000 / (24001 / 8000)
    assert result["kbps"].tolist() == pytest.approx([by_hand] * 2)
    assert by_hand > 4.0 * 1.1


def test_the_tables_column_is_the_language_models():
    codec = make()
    fitted = Coders(codec, FittedModel(LanguageModel(3, 16, 8, 1, 2, 8, 20).eval(), np.ones((3, 16), dtype=np.int64)))
    columns = codec_columns(codec, ["entropy_coded"], [4.0, 12.0], fitted, clips())
    spent = entropy_rates(codec, {n: fitted.named(n) for n in ("none", "lm")}, clips()).query("domain == 'all'")
    assert columns["mean"].tolist() == spent[spent["coder"] == "lm"]["kbps"].tolist()
    assert columns["n"].tolist() == [3, 3]
    assert codec_columns(codec, ["entropy_coded"], [4.0], Coders(codec), clips()).empty
    with pytest.raises(ValueError, match="no clips"):
        entropy_rates(codec, coders_of(codec), [])
