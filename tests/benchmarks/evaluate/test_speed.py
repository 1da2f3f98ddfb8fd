import math
import time

import pytest
import torch

from codeclab.benchmarks.evaluate.speed import codec_columns, papers_coder, real_time_factors
from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.entropy.model_coder import ModelCoder
from codeclab.codecs.latency import Latency, latency
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ


def seanet(sample_rate: int, **settings: object) -> Codec:
    """EnCodec's strides, in milliseconds."""
    whole = {"segment", "normalize"} & set(settings)
    parts = {key: value for key, value in settings.items() if key not in whole}
    encoder = SEANetEncoder(8, n_filters=4, **parts)
    decoder = SEANetDecoder(8, n_filters=4, **parts)
    return Codec(encoder, ResidualVQ(8, 16), decoder, sample_rate, **{key: settings[key] for key in whole})


def test_latencies_of_the_paper() -> None:
    """EnCodec, Table 5 and section 4.6: 13.3 ms streaming at 24 kHz, 1 s not streaming at 48 kHz."""
    assert latency(seanet(24000)).running == pytest.approx(320 / 24000)
    zeros = latency(seanet(24000, pad_mode="constant"))
    assert round(1000 * zeros.start, 1) == round(1000 * zeros.running, 1) == 13.3
    apart = seanet(48000, channels=2, causal=False, norm="time_group_norm", segment=1.0, normalize=True)
    assert latency(apart) == Latency(1.0, 1.0)


def test_latencies_by_hand() -> None:
    assert latency(seanet(24000, causal=False, norm="time_group_norm")).running == math.inf
    # How far ahead the samples of one frame see, told by the gradient of the codec's own networks.
    encoder, decoder = (
        DACEncoder(dimension=4, n_filters=2, strides=[2]),
        DACDecoder(dimension=4, n_filters=4, strides=[2]),
    )
    codec = Codec(encoder, ResidualVQ(4, 2), decoder, 100)
    audio = torch.randn(1, 1, 2000, dtype=torch.float64, requires_grad=True)
    codec.double()
    decoded = codec.decoder(codec.encoder(audio))
    ahead = max(
        int(torch.autograd.grad(decoded[0, 0, seed], audio, retain_graph=True)[0].nonzero()[:, 2].max()) - seed
        for seed in (1000, 1001)
    )
    assert latency(codec).running == pytest.approx((ahead + 1) / 100, abs=0.011)


def test_the_columns_of_the_papers_codecs() -> None:
    """DAC, Table 1 and EnCodec, Table 4: compression factors, frame rates, codebooks."""
    names = ["sample_rate", "bandwidth", "stride", "frame_rate", "n_codebooks", "compression", "mushra"]

    def columns(codec: Codec, bitrate: float) -> dict[str, float]:
        result = codec_columns(codec, names, [bitrate])
        assert set(result["bitrate_kbps"]) == {bitrate}
        return dict(zip(result["metric"], result["mean"], strict=True))

    mono = columns(Codec(SEANetEncoder(8, n_filters=2), ResidualVQ(8), SEANetDecoder(8, n_filters=2), 24000), 24.0)
    assert mono == {
        **{"sample_rate": 24.0, "bandwidth": 12.0, "stride": 320, "frame_rate": 75.0},
        **{"n_codebooks": 32, "compression": 16.0},
    }
    parts = {"channels": 2, "causal": False, "norm": "time_group_norm"}
    quantizer = ResidualVQ(8, 16)
    encoder, decoder = SEANetEncoder(8, n_filters=2, **parts), SEANetDecoder(8, n_filters=2, **parts)
    stereo = Codec(encoder, quantizer, decoder, 48000)
    assert columns(stereo, 6.0)["compression"] == 256.0
    assert columns(stereo, 24.0)["compression"] == 64.0
    cut = Codec(encoder, quantizer, decoder, 48000, segment=1.0, normalize=True)
    assert columns(cut, 6.0)["compression"] == pytest.approx(2 * 16 * 48 / ((40 * 150 + 32) / 0.99 / 1000))


def test_real_time_factors_are_seconds_of_audio_over_seconds_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = seanet(24000).train()
    clock = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    threads = torch.get_num_threads()
    result = real_time_factors(codec, codec.bitrates[-1], seconds=0.5, repeats=2)
    assert result == (0.5, 0.5)  # the clock says that every run takes one second
    assert codec.training
    assert torch.get_num_threads() == threads
    timed = codec_columns(codec, ["rtf_encoder", "rtf_decoder", "mushra"], [codec.bitrates[0]])
    assert list(timed["metric"]) == ["rtf_encoder", "rtf_decoder"]


def test_entropy_coding_belongs_to_both_sides_of_its_real_time_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """EnCodec, Table 5: Enc. + EC and Dec. + EC."""
    codec, called = seanet(24000), []
    small = LanguageModel(16, 1024, dimension=8, n_layers=1, n_heads=2, feedforward=8, context=4)

    class Counted(ModelCoder):
        def encode(self, codes):  # type: ignore[no-untyped-def]
            called.append("encode")
            return super().encode(codes)

        def decode(self, data, n_codebooks, frames):  # type: ignore[no-untyped-def]
            called.append("decode")
            return super().decode(data, n_codebooks, frames)

    result = real_time_factors(codec, codec.bitrates[0], Counted(small), seconds=0.1, repeats=1)
    assert min(result) > 0
    assert called == ["encode"] * 3 + ["decode"] * 2
    monkeypatch.setattr("codeclab.benchmarks.evaluate.speed.papers_coder", lambda codec: Counted(small))
    names = ["rtf_encoder_entropy", "rtf_decoder_entropy"]
    monkeypatch.setattr("codeclab.benchmarks.evaluate.speed.real_time_factors", lambda c, rate, coder=None: (1.6, 1.5))
    timed = codec_columns(codec, names, [codec.bitrates[0]])
    assert dict(zip(timed["metric"], timed["mean"], strict=True)) == dict(zip(names, (1.6, 1.5), strict=True))


def test_the_papers_language_model_is_what_is_timed() -> None:
    coder = papers_coder(seanet(24000))
    assert coder is not None
    model = coder._model
    assert (model.dimension, model.n_codebooks, model.codebook_size, len(model._layers)) == (200, 16, 1024, 5)
