"""Segments of audio put together again (EnCodec 3.1): no seam on a sine sweep, whatever a segment's edges lose."""

import math

import pytest
import torch

from codeclab.codecs.segments import Segments, triangle

RATE = 48000


def sweep(seconds: float) -> torch.Tensor:
    """A sine from 50 Hz to 15 kHz, its frequency growing exponentially, ``[1, 1, N]``."""
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    growth = math.log(15000 / 50) / seconds
    return 0.5 * torch.sin(2 * math.pi * 50 / growth * (torch.exp(growth * time) - 1))[None, None]


@pytest.mark.parametrize(("seconds", "overlap"), [(1.0, 0.01), (0.2, 0.1), (0.1, 0.5)])
@pytest.mark.parametrize("length", [3.0, 2.9871])
def test_a_sweep_comes_back_without_a_seam(seconds, overlap, length):
    audio = sweep(length)
    cut = Segments.of(seconds, overlap, RATE)
    pieces = [audio[..., start:end] for start, end in cut.spans(audio.shape[-1])]
    joined = cut.overlap_add(pieces)
    assert joined.shape == audio.shape
    torch.testing.assert_close(joined, audio, rtol=0, atol=1e-12)


def test_a_step_between_segments_is_faded_over_their_overlap():
    # Segments that a codec made louder and softer in turn, by 1 dB: without a fade a click at every border.
    audio, cut = sweep(3.0), Segments.of(0.2, 0.1, RATE)
    gains = [10 ** (0.05 * (-1) ** index / 2) for index in range(20)]
    pieces = [
        gain * audio[..., start:end] for gain, (start, end) in zip(gains, cut.spans(audio.shape[-1]), strict=False)
    ]
    gain = cut.overlap_add(pieces) / audio
    heard = gain[..., audio.abs()[0, 0] > 0.05]
    assert heard.min() >= min(gains) - 1e-9
    assert heard.max() <= max(gains) + 1e-9
    # By hand: at a border the gain runs over 960 samples, by the two triangles' shares of their sum.
    border, over = 5 * cut.stride, cut.length - cut.stride
    weights = triangle(pieces[0])
    first, second = weights[cut.stride : cut.stride + over], weights[:over]
    by_hand = (first * gains[4] + second * gains[5]) / (first + second)
    crossfade = gain[0, 0, border : border + over]
    audible = audio[0, 0, border : border + over].abs() > 0.05
    torch.testing.assert_close(crossfade[audible], by_hand[audible], rtol=0, atol=1e-9)
    steps = by_hand.diff().abs().max()
    assert steps < 3 * (gains[0] - gains[1]) / over
