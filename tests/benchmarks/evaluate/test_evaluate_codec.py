from pathlib import Path

import pandas as pd
import pytest
import torch

from codeclab.benchmarks.evaluate.adding import added
from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.evaluate import evaluate
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.metrics.mel_distance import mel_distance
from codeclab.benchmarks.metrics.si_sdr import si_sdr
from codeclab.benchmarks.tables.render import evaluation_text
from codeclab.codecs.codec import Codec
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ


@pytest.fixture
def codec() -> Codec:
    sizes = {"dimension": 8, "channels": 1, "n_filters": 4, "strides": (2, 4, 5)}
    quantizer = ResidualVQ(dimension=8, n_codebooks=4, codebook_size=16, kmeans_init=False)
    return Codec(SEANetEncoder(**sizes), quantizer, SEANetDecoder(**sizes), sample_rate=8000, segment=0.4)


def test_a_real_codec_scores_what_encoding_by_hand_scores(codec, make_clip) -> None:
    clips = [make_clip("a", "speech"), make_clip("b", "music")]
    metrics = ["si_sdr", "mel_distance", "bitrate_efficiency", "codebook_usage"]
    evaluation = evaluate(codec.train(), clips, metrics=metrics)
    assert codec.training
    codec.eval()
    table = evaluation.per_file.set_index(["name", "n_codebooks"])
    assert len(table) == 8
    for clip in clips:
        for count in (1, 4):
            codes = codec.encode(clip.audio[None], n_codebooks=count)
            assert len(codes.segments) > 1
            decoded = codec.decode(codes)[0]
            row = table.loc[clip.name, count]
            assert row.bitrate_kbps == codes.bitrate == pytest.approx(count * 4 * 0.2)
            assert row.si_sdr == si_sdr(clip.audio, decoded, 8000)
            assert row.mel_distance == mel_distance(clip.audio, decoded, 8000)
    counts = torch.cat([segment[0, 0] for clip in clips for segment in codec.encode(clip.audio[None]).segments])
    first = evaluation.codebooks.query("domain == 'all' and bitrate_kbps > 3 and codebook == '1'")
    assert first.usage.tolist() == [len(counts.unique()) / 16]


def test_only_the_bitrates_asked_for(codec, make_clip) -> None:
    evaluation = evaluate(codec, [make_clip("a", "speech")], bitrates=[1.6], metrics=["si_sdr"])
    assert evaluation.per_file.n_codebooks.tolist() == [2]
    assert evaluation.info["bitrates_kbps"] == [1.6]
    with pytest.raises(ValueError, match="kbps"):
        evaluate(codec, [make_clip("a", "speech")], bitrates=[1.9], metrics=["si_sdr"])


def test_the_kbps_of_a_codec_that_cuts_audio_count_overlaps_and_levels(tmp_path: Path) -> None:
    """EnCodec, section 3.1: segments of 1 s, each with a level, overlap by 10 ms: 40 bits of 150 frames, and 32."""
    codec = Codec.from_recipe("encodec_48khz", scale="laptop")
    clip = Clip("a", "music", 0.1 * torch.randn(2, 6000), 48000)
    first, second = (evaluate(codec, [clip], [rate], ["si_sdr"]) for rate in (6, 3))
    spent = {rate: (bits * 150 + 32) / 0.99 / 1000 for rate, bits in ((6.0, 40), (3.0, 20))}
    assert first.per_file["bitrate_kbps"].tolist() == [6.0]  # as asked for, in the folder
    assert first.as_spent().summary["bitrate_kbps"].tolist() == pytest.approx([spent[6.0]] * 2)
    assert list(first.requested) == pytest.approx([spent[6.0]])
    both = added(first, second)
    both.save(tmp_path)
    stored = Evaluation.load(tmp_path)
    assert dict(stored.info["spent_kbps"]) == pytest.approx(spent)
    assert sorted(stored.as_spent().per_file["bitrate_kbps"]) == pytest.approx([spent[3.0], spent[6.0]])
    assert list(stored.as_spent().requested.values()) == [3.0, 6.0]
    said = " ".join(evaluation_text(stored).split())
    assert "6.093 (6 requested)" in said
    assert "for codecs that cut audio into segments, kbps are the rates actually used" in said


def test_a_codec_that_codes_audio_whole_spends_what_it_is_asked_for() -> None:
    codec = Codec.from_recipe("encodec_24khz", scale="laptop")
    evaluation = evaluate(codec, [Clip("a", "music", 0.1 * torch.randn(1, 3000), 24000)], [6], ["si_sdr"])
    assert evaluation.as_spent() is evaluation
    assert evaluation.requested == {}


def test_a_clip_is_coded_once_where_codes_are_nested(codec, make_clip, monkeypatch) -> None:
    clips = [make_clip("a", "speech"), make_clip("b", "music")]
    encoded: list[int] = []
    encode = Codec.encode

    def counted(self, audio, bitrate=None, n_codebooks=None):
        encoded.append(n_codebooks)
        return encode(self, audio, bitrate, n_codebooks)

    monkeypatch.setattr(Codec, "encode", counted)
    once = evaluate(codec, clips, metrics=["si_sdr"])
    assert encoded == [4, 4]
    encoded.clear()
    monkeypatch.setattr(ResidualVQ, "codes_are_nested", False)
    each = evaluate(codec, clips, metrics=["si_sdr"])
    assert encoded == [1, 2, 3, 4] * 2
    pd.testing.assert_frame_equal(once.per_file, each.per_file, check_exact=True)
    pd.testing.assert_frame_equal(once.codebooks, each.codebooks, check_exact=True)
