"""Bit packing and the arithmetic coder, against the released EnCodec's states and bytes."""

import contextlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codeclab.codecs.entropy.arithmetic_coder import ArithmeticDecoder, ArithmeticEncoder, quantized_cdf
from codeclab.codecs.entropy.bit_packing import pack, packed_size, unpack


@pytest.mark.parametrize("width", [1, 7, 10, 11])
def test_packed_bytes_are_the_released_ones(golden, width):
    tensors, _ = golden("arithmetic_coder")
    values, expected = tensors[f"input.pack{width}"].tolist(), bytes(tensors[f"output.pack{width}"].tolist())
    assert pack(values, width) == expected
    assert unpack(expected, width, len(values)).tolist() == values


@given(st.data(), st.integers(1, 62))
def test_packing_goes_both_ways(data, width):
    values = data.draw(st.lists(st.integers(0, 2**width - 1), max_size=40))
    packed = pack(values, width)
    # The definition: one large number, little end first.
    whole = sum(value << index * width for index, value in enumerate(values))
    assert packed == whole.to_bytes(packed_size(width, len(values)), "little")
    assert unpack(packed, width, len(values)).tolist() == values


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="from 3 to 8 do not fit 3 bits; 0 to 7 do"):
        pack([3, 8], 3)
    with pytest.raises(ValueError, match="do not fit"):
        pack(np.array([-1]), 3)
    with pytest.raises(ValueError, match="width is 0 bits"):
        pack([], 0)
    with pytest.raises(ValueError, match="3 numbers of 3 bits take 2 bytes; there are 1"):
        unpack(b"a", 3, 3)
    with pytest.raises(ValueError, match="should be zero"):
        unpack(b"\xff", 3, 2)


def test_the_cdf_is_the_released_one(golden):
    tensors, _ = golden("arithmetic_coder")
    cdf = quantized_cdf(tensors["input.pdf"])
    assert torch.equal(cdf, tensors["output.cdf"].long())
    assert torch.equal(torch.stack([quantized_cdf(row) for row in tensors["input.pdf"]]), cdf)


def test_states_and_bytes_are_the_released_ones(golden):
    tensors, _ = golden("arithmetic_coder")
    symbols, cdfs = tensors["input.symbols"].tolist(), tensors["output.cdf"].tolist()
    states = list(zip(*(tensors[f"output.{name}_after"].tolist() for name in ("low", "high", "max_bit")), strict=True))
    expected = bytes(tensors["output.bytes"].tolist())
    encoder = ArithmeticEncoder()
    for symbol, cdf, state in zip(symbols, cdfs, states, strict=True):
        encoder.encode(symbol, cdf)
        assert (encoder.low, encoder.high, encoder.pending - 1) == state
    assert encoder.finish() == expected
    decoder = ArithmeticDecoder(b"before" + expected + b"after", 6)
    for symbol, cdf, state in zip(symbols, cdfs, states, strict=True):
        assert decoder.decode(cdf) == symbol
        assert (decoder.low, decoder.high, decoder.pending - 1) == state
    assert decoder.finish() == 6 + len(expected)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 300), st.floats(0, 40), st.integers(0, 2**31), st.booleans())
def test_coding_goes_both_ways_at_the_price_of_the_probabilities(size, sharpness, seed, likely):
    generator = torch.Generator().manual_seed(seed)
    pdf = (torch.randn(50, size, generator=generator) * sharpness).softmax(1)
    symbols = (
        torch.multinomial(pdf, 1, generator=generator)[:, 0]
        if likely
        else torch.randint(size, (50,), generator=generator)
    )
    cdfs = quantized_cdf(pdf)
    ranges = cdfs.diff(dim=1, prepend=torch.zeros(50, 1, dtype=torch.int64))
    assert ranges.min() >= 2
    assert cdfs.max() <= 2**24
    encoder = ArithmeticEncoder()
    for symbol, cdf in zip(symbols.tolist(), cdfs.tolist(), strict=True):
        encoder.encode(symbol, cdf)
    coded = encoder.finish()
    bits = float((24 - ranges[torch.arange(50), symbols].double().log2()).sum())
    # A share of 3 or so loses up to a third to whole numbers; the last interval and the last byte are on top.
    assert bits - 1 <= len(coded) * 8 <= bits * (1 + 1e-3) + 50 * math.log2(1.5) + 40
    decoder = ArithmeticDecoder(coded)
    assert [decoder.decode(cdf) for cdf in cdfs.tolist()] == symbols.tolist()
    assert decoder.finish() == len(coded)


def test_probabilities_that_round_to_more_than_one_keep_within_the_range():
    over = torch.tensor([0.5, 0.50001])
    cdf = quantized_cdf(over)
    assert cdf.tolist()[-1] == 2**24
    for symbols in ([1] * 40, [0, 1] * 20):
        encoder = ArithmeticEncoder()
        for symbol in symbols:
            encoder.encode(symbol, cdf.tolist())
        decoder = ArithmeticDecoder(encoder.finish())
        assert [decoder.decode(cdf.tolist()) for _ in symbols] == symbols


def decoded(data, cdf, count):
    decoder = ArithmeticDecoder(data)
    result = [decoder.decode(cdf) for _ in range(count)]
    decoder.finish()
    return result


def test_damage_and_nonsense_are_refused():
    cdf = quantized_cdf(torch.full((7,), 1 / 7)).tolist()
    encoder = ArithmeticEncoder()
    for symbol in range(7):
        encoder.encode(symbol, cdf)
    coded = encoder.finish()
    for bit in range(len(coded) * 8):
        damaged = bytearray(coded)
        damaged[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(ValueError):
            assert decoded(bytes(damaged), cdf, 7) != list(range(7))
    short = ArithmeticDecoder(coded[:-1])
    with pytest.raises(ValueError, match="ends too early"):
        [short.decode(cdf) for _ in range(7)]
    with pytest.raises(ValueError, match="the symbol is 7; it should be 0 to 6"):
        encoder.encode(7, cdf)
    for wrong in ([0.5, math.nan], [0.9, 0.9], [1.5, -0.5], [math.inf, 0.0]):
        with pytest.raises(ValueError, match="sum to 1"):
            quantized_cdf(torch.tensor(wrong))
    with pytest.raises(ValueError, match="0 symbols"):
        quantized_cdf(torch.zeros(0))
