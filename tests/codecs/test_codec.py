"""The Codec: lengths, batches, bitrates, levels, and mistakes answered in words."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.segments import Segments
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 2]}


def make(sample_rate=100, **settings):
    parts = SEANetEncoder(**SHAPE), ResidualVQ(4, 4, 8), SEANetDecoder(**SHAPE)
    return Codec(*parts, sample_rate=sample_rate, **settings).eval()


@pytest.mark.parametrize("length", [1, 3, 99, 100, 101, 257])
def test_any_length_comes_back(codec, length):
    audio = torch.randn(2, codec.channels, length)
    codes = codec.encode(audio)
    decoded = codec.decode(codes)
    assert decoded.shape == audio.shape
    assert decoded.isfinite().all()
    assert all(segment.dtype == torch.int64 for segment in codes.segments)
    assert (codes.length, codes.sample_rate) == (length, codec.sample_rate)
    assert codec(audio)[0].shape == audio.shape


def test_codes_of_an_item_do_not_depend_on_its_batch(codec):
    audio = torch.randn(3, codec.channels, 211)
    audio[1] *= 20
    together = codec.encode(audio)
    for index in range(3):
        alone = codec.encode(audio[index : index + 1])
        for one, other in zip(alone.segments, together.segments, strict=True):
            assert torch.equal(one[0], other[index])


def test_encoding_learns_nothing_and_keeps_no_graph(codec):
    before = {name: value.clone() for name, value in codec.state_dict().items()}
    codec.train()
    codes = codec.encode(torch.randn(1, codec.channels, 64))
    decoded = codec.decode(codes)
    assert not decoded.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in codec.state_dict().items())


def test_the_training_pass_equals_encode_and_decode_of_one_piece(pair_codec):
    audio = torch.randn(2, pair_codec.channels, 77)
    for count in (None, 1, 2):
        decoded, quantized = pair_codec(audio, count)
        codes = pair_codec.encode(audio, n_codebooks=count)
        assert torch.equal(quantized.codes, codes.codes)
        torch.testing.assert_close(pair_codec.decode(codes), decoded, rtol=1e-4, atol=1e-5)
    each = pair_codec(audio, torch.tensor([1, 3]))[0]
    torch.testing.assert_close(each[1], pair_codec(audio, 3)[0][1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(each[0], pair_codec(audio, 1)[0][0], rtol=1e-4, atol=1e-5)


@pytest.fixture
def pair_codec(codec):
    codec.segment = None
    return codec


def test_normalization_by_hand():
    codec = make(normalize=True)
    audio = torch.randn(2, 1, 64)
    codes = codec.encode(audio)
    torch.testing.assert_close(codes.scales[0].flatten(), audio.square().mean((1, 2)).sqrt())
    louder = codec.encode(100 * audio)
    assert torch.equal(codes.codes, louder.codes)
    torch.testing.assert_close(codec.decode(louder), 100 * codec.decode(codes), rtol=1e-4, atol=1e-4)
    assert codec.decode(codec.encode(torch.zeros(1, 1, 64))).abs().max() < 1e-6


def test_segments_start_at_multiples_of_the_stride():
    codec = make(segment=0.5, overlap=0.1)
    codes = codec.encode(torch.randn(1, 1, 100))
    # 50 samples a segment, 45 apart: they start at 0, 45 and 90.
    assert [segment.shape[-1] for segment in codes.segments] == [13, 13, 3]
    with pytest.raises(ValueError, match="coded in 3 segments"):
        _ = codes.codes
    assert codec.decode(codes).shape == (1, 1, 100)


@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4), stride=st.integers(1, 12))
def test_overlap_add_of_one_signal_is_that_signal(lengths, stride):
    signal = torch.randn(1, 1, 100)
    first = max(lengths[0], stride)
    pieces = [signal[..., i * stride : i * stride + first] for i in range(len(lengths) - 1)]
    last = len(pieces) * stride
    pieces.append(signal[..., last : last + (min(lengths[-1], first) if pieces else first)])
    added = Segments(first, stride).overlap_add(pieces)
    torch.testing.assert_close(added, signal[..., : added.shape[-1]])


def test_bitrates_of_the_papers():
    # EnCodec: 75 frames of 10 bits a codebook; DAC: 9 codebooks of 10 bits at 44100 / 512 frames are "8 kbps".
    encodec = Codec(
        SEANetEncoder(4, n_filters=2, lstm_layers=0),
        ResidualVQ(4, 32, 1024),
        SEANetDecoder(4, n_filters=2, lstm_layers=0),
        24000,
        bitrates=[1.5, 3, 6, 12, 24],
    )
    assert encodec.frame_rate == 75
    assert [encodec.n_codebooks_for(rate) for rate in encodec.bitrates] == [2, 4, 8, 16, 32]
    assert encodec.n_codebooks_for(6.05) == 8
    with pytest.raises(ValueError, match=r"does not offer 7.5 kbps; it offers 1.5, 3, 6, 12, 24 kbps"):
        encodec.n_codebooks_for(7.5)
    parts = DACEncoder(n_filters=1, dimension=4), ResidualVQ(4, 9, 1024), DACDecoder(4, n_filters=16)
    dac = Codec(*parts, 44100)
    assert dac.bitrates[-1] == pytest.approx(7.7519, abs=1e-3)
    with pytest.raises(ValueError, match="does not offer 8 kbps"):
        dac.n_codebooks_for(8)


def test_a_bitrate_or_codebooks_choose_the_codes():
    codec = make()
    audio = torch.randn(1, 1, 40)
    assert codec.bitrates == pytest.approx([0.075, 0.15, 0.225, 0.3])
    assert codec.encode(audio).codes.shape == (1, 4, 10)
    low = codec.encode(audio, bitrate=0.15)
    assert low.codes.shape == (1, 2, 10)
    assert low.bitrate == pytest.approx(0.15)
    assert torch.equal(low.codes, codec.encode(audio, n_codebooks=2).codes)
    assert torch.equal(low.codes, codec.encode(audio).codes[:, :2])


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (torch.zeros(40), r"audio should be \[B, 1, N\]; this is \[40\]"),
        (torch.zeros(1, 2, 40), r"audio should be \[B, 1, N\]; this is \[1, 2, 40\]"),
        (torch.zeros(1, 1, 40, dtype=torch.int16), "floating point with full scale 1; this is torch.int16"),
        (torch.zeros(1, 1, 0), "no audio"),
        (torch.full((1, 1, 40), float("nan")), "NaN or infinite"),
    ],
)
def test_audio_that_cannot_be_coded(audio, message):
    with pytest.raises(ValueError, match=message):
        make().encode(audio)


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ({"bitrate": 0.15, "n_codebooks": 2}, "not both"),
        ({"bitrate": 6.0}, "does not offer 6 kbps; it offers 0.075, 0.15, 0.225, 0.3 kbps"),
        ({"n_codebooks": 5}, "n_codebooks is 5; this ResidualVQ has 1 to 4"),
        ({"n_codebooks": 0}, "n_codebooks is 0"),
    ],
)
def test_rates_that_are_not_offered(requested, message):
    with pytest.raises(ValueError, match=message):
        make().encode(torch.zeros(1, 1, 40), **requested)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder": SEANetDecoder(**SHAPE | {"strides": [4]})}, r"strides are \[2, 2\] and the decoder's \[4\]"),
        ({"decoder": SEANetDecoder(**SHAPE | {"dimension": 6})}, "dimension is 4 and the decoder's 6"),
        ({"quantizer": ResidualVQ(6, 2, 8)}, "dimension is 4 and the quantizer's 6"),
        ({"decoder": SEANetDecoder(**SHAPE, channels=2)}, "takes 1 channel and the decoder gives 2"),
        ({"bitrates": [6.0]}, "6 kbps cannot be reached; these parts give 0.075, 0.15 kbps"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"segment": -1.0}, "segment is -1.0"),
        ({"segment": 0.001}, "segment is 0.001 s, less than a sample at 100 Hz"),
        ({"overlap": 1.0}, "overlap 1.0"),
    ],
)
def test_parts_that_do_not_fit(change, message):
    fitting = {
        "encoder": SEANetEncoder(**SHAPE),
        "quantizer": ResidualVQ(4, 2, 8),
        "decoder": SEANetDecoder(**SHAPE),
        "sample_rate": 100,
    }
    Codec(**fitting)
    with pytest.raises(ValueError, match=message):
        Codec(**fitting | change)


def test_a_hop_that_is_not_the_strides_product():
    encoder = SEANetEncoder(**SHAPE)
    encoder.hop_length = 5
    with pytest.raises(ValueError, match=r"hop_length of SEANetEncoder is 5; with strides \[2, 2\] it should be 4"):
        Codec(encoder, ResidualVQ(4, 2, 8), SEANetDecoder(**SHAPE), 100)


def test_audio_of_another_floating_point_type():
    codec = make()
    audio = torch.randn(1, 1, 40)
    assert torch.equal(codec.encode(audio.double()).codes, codec.encode(audio).codes)


def test_codes_of_another_codec():
    codes = make().encode(torch.randn(1, 1, 40))
    with pytest.raises(ValueError, match="codes are of 100 Hz audio; this codec is for 200 Hz"):
        make(sample_rate=200).decode(codes)
    with pytest.raises(ValueError, match="the codes have no scales"):
        make(normalize=True).decode(codes)
    scaled = replace(codes, scales=[torch.full((1, 1, 1), 2.0)])
    with pytest.raises(ValueError, match="the codes have scales, but this codec does not normalize segments"):
        make().decode(scaled)


def test_codes_move_between_devices():
    codes = make(normalize=True, segment=0.2).encode(torch.randn(1, 1, 40))
    moved = codes.to("meta")
    assert all(segment.is_meta for segment in moved.segments)
    assert all(scale.is_meta for scale in moved.scales)
    assert (moved.length, moved.bitrate) == (codes.length, codes.bitrate)


def test_from_recipe_is_the_experiments():
    codec = Codec.from_recipe("encodec_24khz", scale="laptop")
    assert codec.sample_rate == 24000
    with pytest.raises(ValueError, match="encodec_24khz"):
        Codec.from_recipe("encodec_25khz")


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8, torch.uint16])
def test_codes_of_any_integer_type_decode_alike(dtype):
    codec = make()
    codes = codec.encode(torch.randn(2, 1, 40))
    edited = replace(codes, segments=[codes.codes.to(dtype)])
    assert torch.equal(codec.decode(edited), codec.decode(codes))
    one, other = (codec.stream(batch=2, lookahead=True).decoder.push(each) for each in (edited, codes))
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda codes: codes.float(), r"torch.float32 of shape \(1, 4, 10\); they should be int64"),
        (lambda codes: codes[0], r"torch.int64 of shape \(4, 10\); they should be int64 of shape \[batch"),
        (lambda codes: codes.numpy(), "a segment of the codes is a ndarray; it should be an int64 tensor"),
        (lambda codes: codes[..., :6], "is 38 samples, 10 frames of 4 .* 6 frames .* which are 21 to 24 samples"),
        (lambda codes: torch.cat([codes, codes], dim=-1), "20 frames in 1 segment, which are 77 to 80 samples"),
        (lambda codes: codes[..., :0], "the codes have 0 frames in 1 segment$"),
    ],
)
def test_codes_changed_by_hand(change, message):
    codec = make()
    codes = codec.encode(torch.randn(1, 1, 38))
    with pytest.raises(ValueError, match=message):
        codec.decode(replace(codes, segments=[change(codes.codes)]))


@pytest.mark.parametrize("length", [0, -5, 37.5, True, None])
def test_a_length_of_codes_that_is_none(length):
    codec = make()
    codes = codec.encode(torch.randn(1, 1, 38))
    with pytest.raises(ValueError, match=f"length of the codes is {length}; it should be a positive whole number"):
        codec.decode(replace(codes, length=length))


def test_segments_that_do_not_make_the_length():
    codec = make(segment=0.2)
    codes = codec.encode(torch.randn(1, 1, 50))
    for segments in (codes.segments[:2], codes.segments[:2] + [codes.segments[2][..., :1]], []):
        with pytest.raises(ValueError, match="is 50 samples, 13 frames of 4 in 3 segments; the codes"):
            codec.decode(replace(codes, segments=segments))
    with pytest.raises(ValueError, match="should be of the same recordings and codebooks"):
        codec.decode(replace(codes, segments=[codes.segments[0], codes.segments[1][:, :2], codes.segments[2]]))


def test_saving_codes_that_are_no_tensors(tmp_path):
    codes = make().encode(torch.randn(1, 1, 40))
    with pytest.raises(ValueError, match="a segment of the codes is a list"):
        replace(codes, segments=[codes.codes.tolist()]).save(tmp_path / "codes.safetensors")


@pytest.mark.parametrize(("least", "most"), [(-1, 32767), (-32769, 0), (0, 32768), (-(2**31), 2**31 - 1), (0, 2**40)])
def test_saved_codes_keep_their_values(tmp_path, least, most):
    tokens = torch.tensor([[[least, 0, most]]])
    codes = Codes([tokens], None, np.int64(12), 100, np.float32(1))
    codes.save(tmp_path / "codes.safetensors")
    loaded = Codes.load(tmp_path / "codes.safetensors")
    assert torch.equal(loaded.codes, tokens)
    assert (loaded.length, loaded.bitrate) == (12, 1.0)


def test_tokens_of_a_language_model_as_the_guide_decodes_them():
    codec = make()
    tokens = torch.randint(8, (2, 3, 11), dtype=torch.int16)
    codes = Codes([tokens], None, tokens.shape[-1] * codec.hop_length, codec.sample_rate, codec.bitrate_of(3))
    assert codec.decode(codes).shape == (2, 1, 44)
