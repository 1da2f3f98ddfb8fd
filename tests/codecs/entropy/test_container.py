"""``.clc`` files: exact both ways, small, and damaged or hostile without harm."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.coders import PackedCoder, PriorCoder, TableCoder, frequencies
from codeclab.codecs.entropy.container import ContainerError, Header, identity_bytes, parse_header, read_varint, varint
from codeclab.codecs.entropy.container_reader import ContainerReader, read_container
from codeclab.codecs.entropy.container_writer import ContainerWriter, write_container
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.base import ABSENT
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}
GOLDEN = Path(__file__).parents[2] / "golden"


def make(sizes=16, channels=1, **settings):
    torch.manual_seed(0)
    parts = (
        SEANetEncoder(**SHAPE, channels=channels),
        ResidualVQ(4, 3, sizes),
        SEANetDecoder(**SHAPE, channels=channels),
    )
    return Codec(*parts, sample_rate=800, **settings).eval()


CUT = {"segment": 0.1, "overlap": 0.1, "normalize": True}


def drawn(codec, length, count=3, seed=0):
    """Codes as ``encode`` shapes them, of any values."""
    generator = torch.Generator().manual_seed(seed)
    size = codec.quantizer.codebook_sizes[0]
    spans = [-(-(end - start) // codec.hop_length) for start, end in codec.spans(length)]
    segments = [torch.randint(0, size, (1, count, frames), generator=generator) for frames in spans]
    scales = [torch.rand(1, 1, 1, generator=generator) + 0.1 for _ in spans] if codec.normalize else None
    return Codes(segments, scales, length, codec.sample_rate, codec.bitrate_of(count))


def written(codec, codes, coder=None, chunk=None):
    writer = ContainerWriter(codec, codes.segments[0].shape[1], coder or Coders(codec).named("none"), chunk)
    return writer.push(codes) + writer.finish()


def read(codec, data, coder_for=None, pieces=1):
    """All pieces of a file that comes in ``pieces`` parts, and the reader."""
    reader = ContainerReader(codec, coder_for or Coders(codec).of_header)
    step = max(len(data) // pieces, 1)
    result = [piece for at in range(0, len(data), step) for piece in reader.feed(data[at : at + step])]
    return result + reader.finish(), reader


def joined(codec, pieces):
    segments = [segment for piece in pieces for segment in piece.codes.segments]
    return [torch.cat(segments, -1)] if codec.segments is None and segments else segments


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(
    length=st.integers(1, 2500),
    chunk=st.integers(1, 40),
    count=st.integers(1, 3),
    size=st.sampled_from([16, 12, 2]),
    cut=st.booleans(),
    parts=st.integers(1, 50),
)
def test_codes_come_back_whole(length, chunk, count, size, cut, parts):
    codec = make(size, **(CUT if cut else {}))
    codes = drawn(codec, length, count, seed=length)
    data = written(codec, codes, chunk=min(chunk, 400))
    pieces, reader = read(codec, data, pieces=parts)
    assert reader.damage == []
    assert sum(piece.codes.length for piece in pieces) == length
    for one, other in zip(joined(codec, pieces), codes.segments, strict=True):
        assert torch.equal(one, other)
    if cut:
        scales = [scale for piece in pieces for scale in piece.codes.scales]
        assert torch.equal(torch.cat(scales), torch.cat(codes.scales))


def test_a_file_grows_with_its_codes_and_is_the_same_in_pieces():
    codec = make()
    codes = drawn(codec, 1999)
    writer = ContainerWriter(codec, 3, Coders(codec).named("none"), 10)
    data = b""
    for frame in range(250):
        piece = Codes([codes.codes[..., frame : frame + 1]], None, 8 if frame < 249 else 7, 800, 0.0)
        data += writer.push(piece)
        assert len(writer._units) <= 10
    assert data + writer.finish() == written(codec, codes, chunk=10)


def test_overhead_of_a_minute_is_below_a_percent():
    for rate, recipe_bits in ((1.5, 2), (6, 8), (24, 32)):
        codec = Codec(
            SEANetEncoder(4, n_filters=2, lstm_layers=0),
            ResidualVQ(4, 32, 1024),
            SEANetDecoder(4, n_filters=2, lstm_layers=0),
            24000,
        )
        codes = drawn(codec, 60 * 24000, recipe_bits)
        size = len(written(codec, codes))
        payload = 60 * rate * 1000 / 8
        assert payload < size < 1.01 * payload


def mutated(data, rng):
    """A file with a flipped, cut out, put in or overwritten part."""
    data, kind, at = bytearray(data), rng.randrange(4), rng.randrange(len(data))
    span = rng.randrange(1, 12)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[at : at + span]
    elif kind == 2:
        data[at:at] = rng.randbytes(span)
    else:
        data[at : at + span] = rng.randbytes(span)
    return bytes(data)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("entropy", [False, True])
def test_thousands_of_damaged_files_give_an_error_or_all_that_is_whole(cut, entropy):
    codec = make(**(CUT if cut else {}))
    codes = drawn(codec, 600 if entropy else 1500)
    coder = TableCoder([np.arange(16)] * 3) if entropy else None
    data = written(codec, codes, coder, chunk=2 if cut else 12)
    whole, _ = read(codec, data, (lambda header: coder) if entropy else None)
    rng = random.Random(cut + 2 * entropy)
    refused = 0
    for index in range(1000):
        times, other = 1 + index % 2, data
        for _ in range(times):
            other = mutated(other, rng)
        cut_short = index % 3 == 0
        other = other[: rng.randrange(1, len(other))] if cut_short else other
        try:
            pieces, reader = read(codec, other, (lambda header: coder) if entropy else None, rng.choice([1, 7]))
        except ContainerError:
            refused += 1
            continue
        assert reader.damage or other == data
        intact = [piece for piece in pieces if piece.damage is None]
        # Whatever is not said to be damaged is as it was written.
        for piece in intact:
            assert any(same(piece.codes, one.codes) for one in whole)
        # A change on the border of two chunks hits both.
        assert cut_short or len(intact) >= len(whole) - 2 * times
    assert refused < 400


def same(one, other):
    return len(one.segments) == len(other.segments) and all(map(torch.equal, one.segments, other.segments))


def test_damage_costs_one_chunk_and_says_its_time():
    codec = make()
    codes = drawn(codec, 1500)
    data = bytearray(written(codec, codes, chunk=20))
    data[len(data) // 2] ^= 255
    pieces, reader = read(codec, bytes(data))
    (damage,) = reader.damage
    assert damage.end - damage.start == pytest.approx(20 * 8 / 800)
    assert str(damage) == f"{damage.start:.2f} s to {damage.end:.2f} s: damaged"
    (result,) = joined(codec, pieces)
    first = round(damage.start * 100)
    assert (result[..., first : first + 20] == ABSENT).all()
    assert torch.equal(result[..., :first], codes.codes[..., :first])
    assert torch.equal(result[..., first + 20 :], codes.codes[..., first + 20 :])
    assert sum(piece.codes.length for piece in pieces) == 1500


def test_a_cut_file_gives_what_is_there():
    codec = make()
    data = written(codec, drawn(codec, 1500), chunk=20)
    pieces, reader = read(codec, data[: len(data) // 2])
    assert len(pieces) > 2
    assert reader.damage[-1].end is None
    assert str(reader.damage[-1]).endswith("s to the end: the file ends early")
    _, reader = read(codec, data + b"more")
    assert "4 bytes follow the end" in str(reader.damage[-1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF" + bytes(60), "not a .clc file, which begins with CLC"),
        (b"CLC\x09" + bytes(60), "version 9 of the format; this codeclab reads version 1"),
        (b"CLC\x01" + bytes(60), "its header is damaged"),
        (b"CLC\x01\x00" + b"\xff" * 90, "its header is damaged"),
        (b"CLC", "ends within its header"),
        (b"", "ends within its header"),
    ],
)
def test_what_is_no_such_file(data, message):
    with pytest.raises(ContainerError, match=message):
        read(make(), data)


def test_hostile_numbers_make_no_memory_and_no_hang():
    codec = make()
    about = {"coder": 0, "identity": identity_bytes(codec), "sample_rate": 800, "channels": 1, "fingerprint": 0}
    for wrong, message in (
        ({"n_codebooks": 3, "chunk": 10**15}, "chunks of"),
        ({"n_codebooks": 3, "chunk": 0}, "chunks of 0 s"),
        ({"n_codebooks": 10**12, "chunk": 5}, "1,000,000,000,000 codebooks; the codec has 3"),
        ({"n_codebooks": 0, "chunk": 5}, "0 codebooks"),
    ):
        with pytest.raises(ContainerError, match=message):
            read(codec, Header(**about, **wrong).to_bytes() + bytes(100))
    start = Header(**about, n_codebooks=3, chunk=50).to_bytes()
    pieces, reader = read(codec, start + b"\xc5\x00\xff\xff\xff\xff\xff\xff\x7f" * 2000)
    assert pieces == []
    with pytest.raises(ContainerError, match="too many beginnings of chunks"):
        read(codec, start + (b"\xc5\x00\xff\x07" * 60000))


def test_a_far_number_is_no_hour_of_silence():
    codec = make()
    writer = ContainerWriter(codec, 3, Coders(codec).named("none"), 10)
    start = writer.push(drawn(codec, 80))
    writer._chunks, writer._samples = 10**9, 80 * 10**9
    with pytest.raises(ContainerError, match="s are missing between two chunks"):
        read(codec, start + writer.finish())


def test_another_codec_is_an_error():
    codec = make()
    data = written(codec, drawn(codec, 500))
    other = make()
    with torch.no_grad():
        next(other.parameters()).mul_(1.001)
    with pytest.raises(ContainerError, match=r"of another codec \(800 Hz, 1 channel, identity [0-9a-f]{16}\)"):
        read(other, data)


def test_another_table_is_an_error_and_so_is_a_coder_that_is_not_here():
    codec = make()
    coder = TableCoder([np.arange(16)] * 3)
    data = written(codec, drawn(codec, 500), coder)
    with pytest.raises(ContainerError, match="coded with other frequencies"):
        read(codec, data, lambda header: TableCoder([np.arange(16) ** 2] * 3))
    with pytest.raises(ContainerError, match="need the entropy coder 'static'; the codec has none here"):
        read(codec, data)


def test_files_by_path(tmp_path):
    codec = make(**CUT)
    codes = drawn(codec, 999)
    writer = write_container(tmp_path / "a.clc", codes, codec, Coders(codec).named("none"))
    assert writer.written == (tmp_path / "a.clc").stat().st_size
    result, damage = read_container(tmp_path / "a.clc", codec, Coders(codec).of_header)
    assert damage == []
    assert all(map(torch.equal, result.segments, codes.segments))
    assert (result.length, result.bitrate) == (999, codes.bitrate)
    assert torch.equal(codec.decode(result), codec.decode(codes))
    (tmp_path / "b.clc").write_bytes(b"nothing")
    with pytest.raises(ContainerError, match="b.clc cannot be read: it is not a .clc file"):
        read_container(tmp_path / "b.clc", codec, Coders(codec).of_header)


def test_codes_that_do_not_belong_in_a_file():
    codec = make()
    writer = ContainerWriter(codec, 3, Coders(codec).named("none"))
    with pytest.raises(ValueError, match=r"holds codes \[1, 3, T\] of one recording; these are"):
        writer.push(Codes([torch.zeros(2, 3, 4).long()], None, 32, 800, 1.0))
    with pytest.raises(ValueError, match="not an entry of its codebook"):
        writer.push(Codes([torch.full((1, 3, 4), 16)], None, 32, 800, 1.0))
    with pytest.raises(ValueError, match="the codes are of 900 Hz audio; this codec is for 800 Hz"):
        writer.push(Codes([torch.zeros(1, 3, 4).long()], None, 32, 900, 1.0))


def test_codes_edited_by_hand_in_a_file(tmp_path):
    codec = make()
    path, coder = tmp_path / "a.clc", Coders(codec).named("none")
    codes = Codes([torch.arange(12, dtype=torch.int16).reshape(1, 3, 4)], None, 32, 800, 1.0)
    write_container(path, codes, codec, coder)
    assert read_container(path, codec, Coders(codec).of_header)[0].codes.tolist() == codes.codes.tolist()
    with pytest.raises(ValueError, match="length of the codes is 40 samples, 5 frames .* which are 25 to 32 samples"):
        write_container(path, Codes(codes.segments, None, 40, 800, 1.0), codec, coder)


def test_frequencies_are_whole_and_sum_to_the_range():
    counts = np.array([[0, 1, 5, 1000], [0, 0, 0, 0], [2**30, 0, 0, 1]])
    shares = frequencies(counts)
    assert (shares.sum(-1) == 2**24).all()
    assert shares.min() >= 1
    assert shares[0].argmax() == 3
    assert (shares[1] == 2**22).all()


@pytest.mark.parametrize("sizes", [[16, 16], [12, 5], [2, 1024], [1, 7]])
def test_coders_there_and_back(sizes):
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, size, 300) for size in sizes])
    skewed = np.minimum(codes, 1)
    counts = [np.bincount(row, minlength=size) for row, size in zip(skewed, sizes, strict=True)]
    for coder in (PackedCoder(sizes), TableCoder(counts)):
        for given_codes in (codes, skewed):
            data = coder.encode(given_codes)
            assert np.array_equal(coder.decode(data, 2, 300), given_codes)
            assert 0 <= 8 * len(data) - coder.bits(given_codes) < 40
            with pytest.raises(ValueError, match="bytes|wrongly|early|damaged"):
                coder.decode(data + b"\x01", 2, 300)


def test_a_learnt_prior_codes_its_own_codes():
    torch.manual_seed(0)
    quantizer = GumbelSoftmax(4, n_codebooks=2, codebook_size=8)
    with torch.no_grad():
        quantizer.prior_logits.normal_(std=3)
    codec = Codec(SEANetEncoder(**SHAPE), quantizer, SEANetDecoder(**SHAPE), 800).eval()
    assert Coders(codec).names == ["none", "prior"]
    coder = Coders(codec).named("prior")
    assert isinstance(coder, PriorCoder)
    codes = torch.distributions.Categorical(logits=quantizer.log_prior()).sample((4000,)).T
    expected = float(quantizer.code_bits(codes[None]) * 4000)
    assert coder.bits(codes.numpy()) == pytest.approx(expected, rel=1e-3)
    assert 0 <= 8 * len(coder.encode(codes.numpy())) - expected < 48
    with pytest.raises(ValueError, match="no entropy coder 'lm'; it has: none, prior"):
        Coders(codec).named("lm")


def test_dac_has_such_files_too():
    parts = DACEncoder(n_filters=2, strides=[2, 3], dimension=4), ResidualVQ(4, 2, 8)
    codec = Codec(*parts, DACDecoder(4, n_filters=8, strides=[2, 3]), 600).eval()
    codes = codec.encode(torch.randn(1, 1, 1001))
    pieces, _ = read(codec, written(codec, codes))
    assert torch.equal(joined(codec, pieces)[0], codes.codes)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**40])
def test_varints(number):
    assert read_varint(varint(number), 0) == (number, len(varint(number)))
    assert read_varint(varint(number)[:-1] or b"\xff", 0) is None


def test_a_file_of_this_version_is_read_for_ever():
    # Written by this package on 28 November 2026; see tests/golden/README.md.
    codec = make(**CUT)
    for name, expected in (("container_v1.clc", (0, 800, 1, 3)), ("container_v1_static.clc", (1, 800, 1, 3))):
        data = (GOLDEN / name).read_bytes()
        header, _ = parse_header(data)
        assert (header.coder, header.sample_rate, header.channels, header.n_codebooks) == expected
        coder = PackedCoder([16] * 3) if header.coder == 0 else TableCoder([np.arange(16)] * 3)
        reader = ContainerReader(codec, lambda header, coder=coder: coder)
        with pytest.MonkeyPatch.context() as patch:
            # The codec's weights are drawn by this machine's torch; the codes in the file do not depend on them.
            patch.setattr(
                "codeclab.codecs.entropy.container.identity_bytes", lambda codec, header=header: header.identity
            )
            pieces = reader.feed(data) + reader.finish()
        right = drawn(codec, 999)
        assert reader.damage == []
        assert all(map(torch.equal, joined(codec, pieces), right.segments))
