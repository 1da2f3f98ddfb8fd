"""Raw PCM in pieces, to audio and back."""

import numpy as np
import pytest
import torch

from codeclab.codecs.io.pcm import Pcm


def test_whole_numbers_are_rounded_and_cut_at_full_scale():
    pcm = Pcm("s16le", 2)
    audio = torch.tensor([[[0.5, -1.0], [1.5, 0.25]]])
    data = pcm.bytes(audio)
    assert np.frombuffer(data, "<i2").tolist() == [16384, 32767, -32768, 8192]
    assert pcm.audio(data[:3]).shape == (1, 2, 0)
    assert pcm.audio(data[3:]).tolist() == [[[0.5, -1.0], [32767 / 32768, 0.25]]]


def test_an_end_within_a_sample_is_refused():
    pcm = Pcm("s16le", 2)
    pcm.audio(bytes(8))
    pcm.check_end()
    pcm.audio(bytes(3))
    with pytest.raises(ValueError, match="the input ends 3 bytes into a sample of 2 channels of 2 bytes"):
        pcm.check_end()
