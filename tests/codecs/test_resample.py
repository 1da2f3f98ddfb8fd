"""Resampling between rates that torchaudio's kernel cannot hold."""

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from codeclab.codecs.resample import resample, resample_polyphase


@pytest.mark.parametrize("rates", [(44101, 24000), (22050, 16001), (15435, 16000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_polyphase_equals_scipys_with_its_own_filter(rates, dtype):
    old, new = rates
    divisor = int(np.gcd(old, new))
    sound = np.random.default_rng(0).standard_normal((2, 3000)).astype(dtype)
    right = resample_poly(sound, new // divisor, old // divisor, axis=-1)
    for _ in range(2):  # the second time the filter comes from the cache
        made = resample_polyphase(torch.from_numpy(sound), old, new)
        assert made.dtype == torch.from_numpy(sound).dtype
        assert torch.equal(made, torch.from_numpy(right))


def test_rates_without_a_common_divisor_keep_a_tone():
    seconds = torch.arange(44101) / 44101
    made = resample(torch.sin(2 * torch.pi * 1000 * seconds)[None], 44101, 24000)
    right = torch.sin(2 * torch.pi * 1000 * torch.arange(24000) / 24000)
    assert made.shape == (1, 24000)
    torch.testing.assert_close(made[0, 500:-500], right[500:-500], atol=2e-3, rtol=0)
