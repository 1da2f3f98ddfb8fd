"""Streams against whole files: any split gives the same codes and audio; what cannot stream says why."""

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codeclab.codecs.blocks import (
    block_samples,
    decode_blocks,
    decode_whole,
    encode_blocks,
    encode_whole,
    joined,
)
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.latency import latency
from codeclab.codecs.layers.layer_stream import NotCausalError, NotStreamableError
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.spectral import SpectralEncoder
from codeclab.codecs.vocos import VocosDecoder
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.residual_vq import ResidualVQ

SEANET = {"dimension": 8, "n_filters": 4, "strides": [2, 4]}
CODECS = {
    "reflect": ({}, {}),
    "constant": ({"pad_mode": "constant"}, {"pad_mode": "constant"}),
    "layers": (
        {"n_residual_layers": 3, "true_skip": True, "lstm_layers": 0, "channels": 2, "kernel_size": 5},
        {"n_residual_layers": 3, "true_skip": True, "lstm_layers": 1, "channels": 2, "trim_right_ratio": 0.5},
    ),
    "centred": ({"causal": False}, {"causal": False}),
}
RATE = 800


def with_entries(codec):
    """Entries that codes of noise differ in: frames of the codec's own latent."""
    generator = torch.Generator().manual_seed(3)
    noise = 0.1 * torch.randn(1, codec.channels, 40 * codec.hop_length, generator=generator)
    with torch.no_grad():
        residual = codec.encoder(noise)[0].T
        for codebook in codec.quantizer.codebooks:
            codebook.entries.copy_(residual[torch.randperm(len(residual), generator=generator)[:16]])
            residual = residual - codebook.lookup(codebook.search(residual))
    return codec


def seanet(encoder=None, decoder=None, **cut):
    torch.manual_seed(0)
    parts = SEANetEncoder(**SEANET | (encoder or {})), ResidualVQ(8, 3, 16), SEANetDecoder(**SEANET | (decoder or {}))
    return with_entries(Codec(*parts, sample_rate=RATE, **cut).eval())


def dac(strides=(2, 4)):
    torch.manual_seed(0)
    parts = DACEncoder(n_filters=4, strides=strides, dimension=8), DACDecoder(8, n_filters=16, strides=strides)
    return Codec(parts[0], FactorizedVQ(8, 3, 16, 4), parts[1], sample_rate=RATE).eval()


def vocos(**more):
    torch.manual_seed(0)
    shape = {"dimension": 8, "n_fft": 16, "width": 8, "n_blocks": 2, "strides": [8]} | more
    parts = SpectralEncoder(**shape), ResidualVQ(8, 3, 16), VocosDecoder(**shape)
    return with_entries(Codec(*parts, sample_rate=RATE).eval())


def segmented(**more):
    norm = {"channels": 2, "causal": False, "norm": "time_group_norm"}
    return seanet(norm, norm, **{"segment": 0.1, "overlap": 0.1, "normalize": True} | more)


MADE = {
    **{name: (lambda pair=pair: seanet(*pair)) for name, pair in CODECS.items()},
    "dac": dac,
    "dac-odd": lambda: dac((2, 3)),
    "vocos": vocos,
    "vocos-causal": lambda: vocos(causal=True),
    "vocos-two-rates": lambda: vocos(strides=[4, 3], hop=4, channels=2),
    "vocos-two-rates-causal": lambda: vocos(strides=[4, 3], hop=4, causal=True),
    "segments": segmented,
    "segments-apart": lambda: segmented(overlap=0.0, normalize=False),
}


@pytest.fixture(params=list(MADE), scope="module")
def codec(request):
    return MADE[request.param]()


def streamed(codec, audio, cuts, **choice):
    """Codes and audio of a stream fed with pieces that end at ``cuts``."""
    encoder, decoder = codec.stream(batch=audio.shape[0], lookahead=True, **choice)
    pieces = [encoder.push(piece) for piece in audio.tensor_split(cuts, dim=-1)] + [encoder.flush()]
    sound = torch.cat([decoder.push(piece) for piece in pieces] + [decoder.flush()], dim=-1)
    segments = [segment for piece in pieces for segment in piece.segments]
    scales = [scale for piece in pieces for scale in piece.scales or []]
    if codec.segments is None:
        segments = [torch.cat(segments, dim=-1)]
    return Codes(segments, scales or None, sum(piece.length for piece in pieces), codec.sample_rate, 0.0), sound


def check(codec, length, cuts, batch=1, **choice):
    audio = 0.1 * torch.randn(batch, codec.channels, length, generator=torch.Generator().manual_seed(length))
    whole = codec.encode(audio, **choice)
    codes, sound = streamed(codec, audio, cuts, **choice)
    assert codes.length == length
    assert [segment.tolist() for segment in codes.segments] == [segment.tolist() for segment in whole.segments]
    if codec.normalize:
        torch.testing.assert_close(torch.cat(codes.scales), torch.cat(whole.scales))
    torch.testing.assert_close(sound, codec.decode(whole), rtol=0, atol=1e-5)
    assert len(torch.cat([segment.flatten() for segment in whole.segments]).unique()) > 1 or length < 100


@settings(max_examples=10, deadline=None, database=None, derandomize=True)
@given(length=st.integers(1, 300), cuts=st.lists(st.integers(0, 300), max_size=8), batch=st.integers(1, 2))
def test_any_split_of_any_length_gives_what_the_whole_gives(codec, length, cuts, batch):
    check(codec, length, sorted(min(cut, length) for cut in cuts), batch)


@pytest.mark.parametrize("piece", [1, 7, 8, 480])
def test_long_audio_in_equal_pieces(codec, piece):
    check(codec, 1205, list(range(piece, 1205, piece)), n_codebooks=2)


def test_released_encodec_streams(golden, released_codec):
    tensors, meta = golden("encodec24_whole")
    config = meta["config"]
    shape = {name: config[name] for name in ("channels", "dimension", "n_filters", "norm", "causal")}
    shape["strides"] = config["ratios"][::-1]
    codec = released_codec(config, SEANetEncoder(**shape), SEANetDecoder(**shape), tensors)
    audio = next(value for name, value in tensors.items() if name.startswith("input") and value.ndim == 3)
    whole = codec.encode(audio)
    for piece in (7, 320, 4801):
        codes, sound = streamed(codec, audio, list(range(piece, audio.shape[-1], piece)))
        assert torch.equal(codes.codes, whole.codes)
        torch.testing.assert_close(sound, codec.decode(whole), rtol=0, atol=1e-5)


def test_state_is_bounded(codec):
    encoder, decoder = codec.stream(lookahead=True)
    sizes = []
    for _ in range(30):
        decoder.push(encoder.push(0.1 * torch.randn(1, codec.channels, 200)))
        sizes.append(sum(held(encoder._coder)) + sum(held(decoder._coder)))
    assert max(sizes[15:]) <= max(sizes[:15])


def held(thing, seen=None):
    """Numbers of elements of every tensor that a stream keeps."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, torch.nn.Module):
        return
    seen.add(id(thing))
    if isinstance(thing, torch.Tensor):
        yield thing.numel()
    for child in (
        thing if isinstance(thing, list | tuple) else vars(thing).values() if hasattr(thing, "__dict__") else ()
    ):
        yield from held(child, seen)


def test_constant_padding_gives_320_samples_for_320_samples():
    # EnCodec 3.1: "the model can output 320 samples (13 ms) as soon as the first 320 samples (13 ms) are received".
    late = latency(Codec.from_recipe("encodec_24khz_streaming"))
    assert (late.start, late.running) == (320 / 24000, 320 / 24000)
    codec = seanet({"pad_mode": "constant"}, {"pad_mode": "constant"})
    encoder, decoder = codec.stream()
    for _ in range(5):
        assert decoder.push(encoder.push(torch.randn(1, 1, 8))).shape == (1, 1, 8)


def test_reflection_waits_at_the_start_and_no_longer():
    codec = seanet()
    late = latency(codec)
    assert late.running == 8 / RATE
    start = round(late.start * RATE)
    encoder, decoder = codec.stream()
    assert decoder.push(encoder.push(torch.randn(1, 1, start - 1))).shape[-1] == 0
    first = decoder.push(encoder.push(torch.randn(1, 1, 1)))
    assert first.shape[-1] > 0
    whole = start // 8 * 8
    assert first.shape[-1] + decoder.push(encoder.push(torch.randn(1, 1, whole + 8 - start))).shape[-1] == whole + 8


def test_released_encodec_is_late_at_the_start():
    late = latency(Codec.from_recipe("encodec_24khz"))
    assert late.running == 320 / 24000
    # The encoder's last convolution mirrors the six frames after the first.
    assert late.start == 7 * 320 / 24000


def test_latency_of_segments_and_of_codecs_that_see_everything():
    codec = segmented()
    assert latency(codec).start == latency(codec).running == 0.1
    codec.segment = None
    assert latency(codec).start == float("inf")


def test_what_is_not_causal_says_so():
    with pytest.raises(
        NotStreamableError, match=r"not causal: a sample depends on \d+ later ones, \d+ ms.*lookahead=True"
    ):
        dac().stream()
    with pytest.raises(NotCausalError) as refused:
        dac().stream()
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    assert refused.value.message("--lookahead") == str(refused.value).replace(
        "codec.stream(…, lookahead=True)", "--lookahead"
    )
    norm = {"causal": False, "norm": "time_group_norm"}
    with pytest.raises(NotStreamableError, match="time_group_norm takes the mean and variance of all samples"):
        seanet(norm, norm).stream(lookahead=True)
    with pytest.raises(NotStreamableError, match="level of the whole recording; use segments to stream"):
        seanet(normalize=True).stream()
    parts = SEANetEncoder(**SEANET), GumbelSoftmax(8, choice="sample"), SEANetDecoder(**SEANET)
    with pytest.raises(NotStreamableError, match="choice: argmax"):
        Codec(*parts, sample_rate=RATE).stream()


class Unknown(SEANetEncoder):
    def __init__(self):
        super().__init__(**SEANET)
        self.layers.append(torch.nn.Softmax(1))


def test_a_part_that_does_not_say_how_it_streams():
    codec = Codec(Unknown(), ResidualVQ(8, 3, 16), SEANetDecoder(**SEANET), RATE)
    with pytest.raises(NotStreamableError, match="Softmax cannot be streamed; give it a method stream"):
        codec.stream()


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (torch.zeros(1, 2, 8), r"a tensor \[1, 1, n\]; this is \[1, 2, 8\]"),
        ([0.0], "this is a list"),
        (torch.zeros(1, 1, 8, dtype=torch.int16), "floating point"),
        (torch.full((1, 1, 8), float("inf")), "without NaN or infinite"),
    ],
)
def test_pieces_that_are_no_audio(audio, message):
    with pytest.raises(ValueError, match=message):
        seanet().stream().encoder.push(audio)


def test_a_stream_that_ended_takes_no_more():
    encoder, decoder = seanet().stream()
    codes = encoder.push(torch.zeros(1, 1, 20))
    decoder.push(codes)
    decoder.push(encoder.flush())
    assert decoder.flush().shape[-1] <= 20
    with pytest.raises(ValueError, match="the stream has ended"):
        encoder.push(torch.zeros(1, 1, 8))
    with pytest.raises(ValueError, match="the stream has ended"):
        encoder.flush()
    with pytest.raises(ValueError, match="the stream has ended"):
        decoder.push(codes)
    with pytest.raises(ValueError, match="the stream has ended"):
        decoder.flush()


def test_codes_of_another_codec_are_refused():
    with pytest.raises(ValueError, match=f"the codes are of {2 * RATE} Hz audio; this codec is for {RATE} Hz"):
        seanet().stream().decoder.push(Codes([], None, 8, 2 * RATE, 1.0))


def recordings(codec, samples):
    return 0.1 * torch.randn(2, codec.channels, samples, generator=torch.Generator().manual_seed(7))


def test_a_long_recording_is_coded_in_blocks_as_it_would_be_whole(codec):
    audio = recordings(codec, 2 * block_samples(codec) + 1234)
    codes = codec.encode(audio)
    whole = encode_whole(codec, audio, codec.quantizer.n_codebooks)
    assert [segment.shape for segment in codes.segments] == [segment.shape for segment in whole.segments]
    assert codes.length == whole.length
    # A sum that differs in its last bit may fall to the other of two entries that are equally near.
    same = [(a == b).float().mean() for a, b in zip(codes.segments, whole.segments, strict=True)]
    assert min(same) > 0.999
    torch.testing.assert_close(codec.decode(whole), decode_whole(codec, whole), rtol=0, atol=1e-5)


def test_audio_and_codes_in_parts_give_to_the_bit_what_one_call_gives(codec):
    size = block_samples(codec)
    for samples in (size - 5, size + 1, 3 * size - 77):
        audio = recordings(codec, samples)
        codes = codec.encode(audio)
        parts = list(encode_blocks(codec, iter(audio.split(size, dim=-1)), codec.quantizer.n_codebooks))
        together = joined(codec, parts)
        assert all(torch.equal(a, b) for a, b in zip(together.segments, codes.segments, strict=True))
        for chunk in (7, 400):
            cut = parts_of(codec, codes, chunk)
            assert torch.equal(torch.cat(list(decode_blocks(codec, iter(cut))), dim=-1), codec.decode(codes))


def parts_of(codec, codes, chunk):
    """Codes in parts of ``chunk`` frames or segments."""
    if codec.segments is None:
        segments = [[part] for part in codes.codes.split(chunk, dim=-1)]
        step = chunk * codec.hop_length
    else:
        segments = [codes.segments[first : first + chunk] for first in range(0, len(codes.segments), chunk)]
        step = chunk * codec.segments.stride
    scales = None if codes.scales is None else codes.scales
    return [
        Codes(
            part,
            None if scales is None else scales[index * chunk : (index + 1) * chunk],
            min(step, codes.length - index * step),
            codes.sample_rate,
            codes.bitrate,
        )
        for index, part in enumerate(segments)
    ]


def test_what_cannot_stream_is_coded_whole_however_long():
    codec = seanet(normalize=True)
    audio = recordings(codec, 2 * block_samples(codec) + 9)
    codes = codec.encode(audio)
    assert torch.equal(codes.codes, encode_whole(codec, audio, 3).codes)
    parts = list(encode_blocks(codec, iter(audio.split(block_samples(codec), dim=-1)), 3))
    assert torch.equal(joined(codec, parts).codes, codes.codes)
    assert torch.equal(torch.cat(list(decode_blocks(codec, iter([codes]))), dim=-1), codec.decode(codes))


def test_a_stream_refuses_what_it_cannot_take():
    codec = seanet()
    for batch in (0, -1):
        with pytest.raises(ValueError, match=f"batch is {batch}; it should be at least 1"):
            codec.stream(batch=batch)
    decoder = codec.stream().decoder
    with pytest.raises(ValueError, match="codes are a Tensor; a decoder takes the Codes of an encoder"):
        decoder.push(torch.zeros(1, 3, 4, dtype=torch.long))
