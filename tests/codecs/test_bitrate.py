"""What a codec that cuts audio spends, against its codes and the paper's sizes."""

import torch

from codeclab.codecs.bitrate import about_bitrate, same_bitrate, spent_bitrate
from codeclab.codecs.codec import Codec


def test_levels_and_overlaps_of_encodec_48khz_are_counted() -> None:
    codec = Codec.from_recipe("encodec_48khz", scale="laptop").eval()
    frames = codec.frame_rate  # of a segment of one second, every 0.99 s
    for rate in codec.bitrates:
        count = codec.n_codebooks_for(rate)
        by_hand = (codec.quantizer.bits_per_frame(count) * frames + 32) / 0.99 / 1000
        assert abs(spent_bitrate(codec, count) - by_hand) < 1e-9
    count = codec.n_codebooks_for(6)
    audio = torch.zeros(1, 2, round(99 * 0.99 * codec.sample_rate))
    codes = codec.encode(audio, n_codebooks=count)
    bits = sum(segment.shape[2] for segment in codes.segments) * codec.quantizer.bits_per_frame(count)
    bits += 32 * len(codes.scales or [])
    assert abs(bits / (99 * 0.99) / 1000 / spent_bitrate(codec, count) - 1) < 1e-3


def test_of_a_codec_that_codes_audio_whole_it_is_the_nominal_rate() -> None:
    codec = Codec.from_recipe("encodec_24khz", scale="laptop")
    assert spent_bitrate(codec, 8) == codec.bitrate_of(8) == 6


def test_a_comparison_sets_rates_side_by_side_that_are_not_the_same() -> None:
    assert about_bitrate(7.75, 8)  # DAC's "8 kbps"
    assert not same_bitrate(7.75, 8)
    assert [about_bitrate(rate, 6) for rate in (5.69, 5.71, 6.29, 6.31)] == [False, True, True, False]
