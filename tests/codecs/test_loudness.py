"""Audio at the loudness of another."""

import pytest
import torch

from codeclab.codecs.loudness import loudness_matched, measure_lufs


def test_what_is_matched_is_as_loud_as_the_other_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    original = 0.1 * torch.randn(2, 48000, generator=generator)
    decoded = 0.02 * (original + 0.01 * torch.randn(2, 48000, generator=generator))
    matched = loudness_matched(decoded, original, 24000)
    assert measure_lufs(matched, 24000) == pytest.approx(measure_lufs(original, 24000), abs=1e-3)
    gain = matched / decoded
    assert float(gain.std()) < 1e-3 * float(gain.mean())


def test_silence_is_left_alone() -> None:
    noise = 0.1 * torch.randn(1, 24000)
    assert torch.equal(loudness_matched(noise, torch.zeros(1, 24000), 24000), noise)
    assert torch.equal(loudness_matched(torch.zeros(1, 24000), noise, 24000), torch.zeros(1, 24000))
