"""Whole codecs on a GPU against themselves on the CPU."""

import copy

import pytest
import torch

from codeclab.codecs.codec import Codec


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", ["encodec_24khz", "encodec_48khz", "dac_44khz"])
def test_codes_and_audio_are_those_of_a_cpu(recipe, exact_gpu, tmp_path):
    codec = Codec.from_recipe(recipe, scale="mini")
    codec(0.1 * torch.randn(4, codec.channels, codec.sample_rate))  # codebooks that are learnt start with a batch
    codec.eval()
    there = copy.deepcopy(codec).to(exact_gpu)
    audio = 0.1 * torch.randn(2, codec.channels, int(1.3 * codec.sample_rate))
    codes, theirs = codec.encode(audio), there.encode(audio.to(exact_gpu))
    for ours, segment in zip(codes.segments, theirs.segments, strict=True):
        assert segment.is_cuda
        assert (segment.cpu() == ours).float().mean() > 0.99
    decoded = there.decode(theirs)
    assert decoded.shape == audio.shape
    assert decoded.is_cuda
    # Their own codes: one that differs would make other audio.
    torch.testing.assert_close(codec.decode(theirs.to("cpu")), decoded.cpu(), rtol=1e-3, atol=1e-4)
    there.save(tmp_path)
    loaded = Codec.from_pretrained(tmp_path).eval()
    for ours, segment in zip(codes.segments, loaded.encode(audio).segments, strict=True):
        assert (segment == ours).float().mean() > 0.99
