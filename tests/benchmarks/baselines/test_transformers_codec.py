"""Codecs that transformers runs: held against its own forward pass, and against our own reading of its folders."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from codeclab.benchmarks.baselines import evaluate_baseline
from codeclab.benchmarks.baselines.base import NotInstalledError
from codeclab.benchmarks.baselines.columns import baseline_columns
from codeclab.benchmarks.baselines.registry import make_baseline, named_codec
from codeclab.benchmarks.baselines.tokens import TokenCodec
from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.codecs.codec import Codec

RATE = 800
SEANET = {"num_filters": 2, "hidden_size": 8, "codebook_size": 16, "upsampling_ratios": [4, 2], "sampling_rate": RATE}
STEREO = {
    **{"audio_channels": 2, "use_causal_conv": False, "norm_type": "time_group_norm", "normalize": True},
    **{"chunk_length_s": 0.5, "overlap": 0.04, "codebook_dim": 8, "target_bandwidths": [0.4, 0.8, 1.6]},
}
SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 16}
MIMI = {
    **SMALL,
    **{"num_filters": 4, "upsampling_ratios": [4, 2], "codebook_size": 16, "codebook_dim": 8, "num_quantizers": 4},
    **{
        "vector_quantization_hidden_dimension": 8,
        "num_key_value_heads": 2,
        "sampling_rate": RATE,
        "upsample_groups": 32,
    },
}
DAC = {
    **{"encoder_hidden_size": 4, "decoder_hidden_size": 16, "downsampling_ratios": [2, 4], "n_codebooks": 3},
    **{"codebook_size": 16, "codebook_dim": 4, "sampling_rate": RATE},
}
XCODEC_ACOUSTIC = {"downsampling_ratios": [8, 5, 4, 2], "upsampling_ratios": [8, 5, 4, 2], "hidden_size": 16}
HEARING = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
XCODEC2 = {**SMALL, "num_key_value_heads": 2, "encoder_hidden_size": 4, "quantization_levels": [4, 4, 4]}


def settings(kind: str) -> Any:
    match kind:
        case "mimi":
            return transformers.MimiConfig(**MIMI)
        case "encodec":
            return transformers.EncodecConfig(**SEANET, **STEREO)
        case "dac":
            return transformers.DacConfig(**DAC)
        case "xcodec":
            hubert = transformers.HubertConfig(**HEARING, conv_dim=[8] * 7, num_conv_pos_embedding_groups=2)
            acoustic = transformers.DacConfig(**(DAC | XCODEC_ACOUSTIC))
            return transformers.XcodecConfig(
                acoustic_model_config=acoustic.to_dict(),
                semantic_model_config=hubert.to_dict(),
                codebook_size=16,
                target_bandwidths=[0.2, 0.4, 0.8],
            )
    semantic = transformers.Wav2Vec2BertConfig(**HEARING, feature_projection_input_dim=160)
    return transformers.Xcodec2Config(**XCODEC2, quantization_dim=48, semantic_model_config=semantic.to_dict())


def extractor(kind: str) -> Any:
    match kind:
        case "mimi":
            return transformers.EncodecFeatureExtractor(feature_size=1, sampling_rate=RATE)
        case "encodec":
            return transformers.EncodecFeatureExtractor(2, RATE, chunk_length_s=0.5, overlap=0.04)
        case "dac":
            return transformers.DacFeatureExtractor(sampling_rate=RATE, hop_length=8)
        case "xcodec":
            return transformers.DacFeatureExtractor(sampling_rate=16000, hop_length=320)
    return transformers.Xcodec2FeatureExtractor()


def write_folder(kind: str, folder: Path) -> Any:
    """A codec with random weights, as ``save_pretrained`` writes it."""
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(settings(kind)).eval()
    for name, tensor in model.named_buffers():
        if name.endswith(("embed", "embed_sum")):
            nn.init.normal_(tensor, std=0.05)
        if name.endswith(("cluster_usage", "inited", "initialized")):
            tensor.fill_(1)
    model.save_pretrained(folder)
    extractor(kind).save_pretrained(folder)
    return model


def codec_in(kind: str, folder: Path) -> tuple[TokenCodec, Any]:
    model = write_folder(kind, folder)
    codec = make_baseline(named_codec(f"transformers:{folder}") or {})
    assert isinstance(codec, TokenCodec)
    return codec, model


@pytest.mark.parametrize(
    ("kind", "chosen", "rate", "codebooks", "bits", "frames"),
    [
        # 2 s and 13 samples: 1613 samples are 101 frames of 16 samples (Mimi), 202 of 8.
        ("mimi", {"num_quantizers": 3}, 0.6, 3, 4, 101),
        ("dac", {"n_quantizers": 2}, 0.8, 2, 4, 202),
        ("xcodec2", {}, 0.3, 1, 6, 101),
        ("xcodec", {"bandwidth": 0.4}, 0.4, 2, 4, 101),
    ],
)
def test_it_is_the_package_itself(
    tmp_path: Path, kind: str, chosen: dict[str, int], rate: float, codebooks: int, bits: int, frames: int
) -> None:
    codec, model = codec_in(kind, tmp_path / kind)
    assert codec.name == kind
    assert codec.parameters() == sum(parameter.numel() for parameter in model.parameters())
    own = int(codec.sample_rate or 0)
    audio = 0.1 * torch.randn(1, 2 * own + (13 if own == RATE else 1))
    decoded, kbps, tokens = codec.code(audio, own, rate)
    inputs = extractor(kind)(audio[0].numpy(), sampling_rate=own, return_tensors="pt")
    with torch.no_grad():
        wanted = {name: value for name, value in inputs.items() if kind == "xcodec2" or name == "input_values"}
        expected = model(**wanted, **chosen)
    assert torch.equal(tokens.padded()[0], expected.audio_codes[0])
    assert torch.equal(decoded[0], expected.audio_values.reshape(-1)[: audio.shape[1]])
    assert len(tokens.codes) == codebooks
    assert kbps == pytest.approx(codebooks * frames * bits / (audio.shape[1] / own) / 1000)


def test_levels_and_overlaps_of_encodec_are_counted(tmp_path: Path) -> None:
    codec, model = codec_in("encodec", tmp_path / "encodec")
    audio = 0.1 * torch.randn(2, 1000)
    decoded, kbps, tokens = codec.code(audio, RATE, 0.8)
    inputs = extractor("encodec")(audio.numpy(), sampling_rate=RATE, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs, bandwidth=0.8).audio_values[0, :, :1000]
    assert torch.allclose(decoded, expected, atol=1e-6)
    # The package pads to 1168 samples and cuts 400 every 384: three segments of 50 frames, and 16 samples with 2.
    assert [len(code) for code in tokens.codes] == [152, 152]
    assert kbps == pytest.approx((2 * 152 * 4 + 4 * 32) / 1.25 / 1000)


@pytest.mark.parametrize("kind", ["dac", "encodec"])
def test_codes_are_those_of_our_own_reading(tmp_path: Path, kind: str) -> None:
    codec, _ = codec_in(kind, tmp_path / kind)
    ours = Codec.from_pretrained(tmp_path / kind)
    audio = 0.1 * torch.randn(codec.channels or 1, 784)
    tokens = codec.encode(audio, codec.bitrates[-1])
    segments = ours.encode(audio[None]).segments
    assert codec.bitrates == pytest.approx(ours.bitrates)
    # The package pads what is cut into segments: only whole ones are the same.
    joined = torch.cat(segments[:2] if kind == "encodec" else segments, dim=-1)[0]
    assert torch.equal(tokens.padded()[0, :, : joined.shape[1]], joined)


def test_a_row_with_codes_metrics_and_columns(tmp_path: Path) -> None:
    codec, model = codec_in("dac", tmp_path / "dac")
    clips = [Clip("a", "speech", 0.1 * torch.randn(1, 1600), RATE), Clip("b", "music", 0.1 * torch.randn(2, 800), RATE)]
    result = evaluate_baseline(codec, clips, [1.2], ["si_sdr", "bitrate_efficiency", "codebook_usage"])
    assert set(result.summary["metric"]) == {"si_sdr", "bitrate_efficiency", "codebook_usage"}
    assert set(result.codebooks["domain"]) == {"all", "speech", "music"}
    assert result.info["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert result.info["bitrates_kbps"] == pytest.approx([3 * 4 * 100 / 1000])
    names = ["rtf_encoder", "rtf_decoder", "n_codebooks", "frame_rate", "compression", "mushra"]
    columns = baseline_columns(codec, names, [1.2]).set_index("metric")["mean"]
    assert list(columns.index) == names[:-1]
    assert (columns["n_codebooks"], columns["frame_rate"]) == (3, 100)
    assert columns["compression"] == pytest.approx(RATE * 16 / 1000 / 1.2)
    assert min(columns["rtf_encoder"], columns["rtf_decoder"]) > 0


def test_the_fingerprint_is_that_of_the_weights(tmp_path: Path) -> None:
    codec, model = codec_in("dac", tmp_path / "dac")
    first = codec.fingerprint
    assert make_baseline(named_codec(f"transformers:{tmp_path / 'dac'}") or {}).fingerprint == first  # type: ignore[attr-defined]
    with torch.no_grad():
        model.decoder.conv1.bias += 1
    model.save_pretrained(tmp_path / "dac")
    assert codec_again(tmp_path / "dac").fingerprint != first


def codec_again(folder: Path) -> TokenCodec:
    codec = make_baseline({"part": "TransformersCodec", "model": str(folder)})
    assert isinstance(codec, TokenCodec)
    return codec


def test_bandwidths_round_down_as_the_package_does(tmp_path: Path) -> None:
    # 720 / 8 = 90 frames of 4 bits: 0.36 kbps a codebook, so 1 kbps is 2 codebooks.
    changed = SEANET | {"sampling_rate": 720, "target_bandwidths": [1.0, 1.5], "codebook_dim": 8}
    model = transformers.EncodecModel(transformers.EncodecConfig(**changed)).eval()
    model.save_pretrained(tmp_path)
    transformers.EncodecFeatureExtractor(1, 720).save_pretrained(tmp_path)
    codec = codec_again(tmp_path)
    assert codec.bitrates == pytest.approx([0.72, 1.44])
    assert [len(codec.encode(torch.randn(1, 720), rate).codes) for rate in codec.bitrates] == [2, 4]


def test_what_is_no_codec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError, match="the hub does not give it"):
        codec_again(tmp_path / "nothing")
    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    transformers.BertConfig(**tiny, vocab_size=8).save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match="'bert' of transformers, which codes no audio; codecs there are mimi"):
        codec_again(tmp_path / "bert")
    transformers.VibeVoiceAcousticTokenizerConfig().save_pretrained(tmp_path / "latents")
    with pytest.raises(ValueError, match="turns audio into continuous numbers"):
        codec_again(tmp_path / "latents")
    codec, _ = codec_in("dac", tmp_path / "dac")
    with pytest.raises(ValueError, match=r"dac does not offer 9 kbps; it offers 0\.4, 0\.8, 1\.2 kbps"):
        codec.transcode(torch.zeros(1, 800), RATE, 9)


def test_other_names_are_left_to_from_pretrained() -> None:
    assert named_codec("kyutai/mimi") is None
    assert named_codec("transformers:kyutai/mimi") == {"part": "TransformersCodec", "model": "kyutai/mimi"}
    assert named_codec("mine.py") == {"part": "PythonCodec", "file": "mine.py"}
