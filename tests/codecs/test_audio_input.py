"""What users hand to a codec: files, arrays and tensors, at any rate; and what it says of itself."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
import torch

from codeclab.codecs.audio_file import AudioFile, AudioWriter
from codeclab.codecs.audio_input import ResampledWarning
from codeclab.codecs.codec import Codec, Codes
from codeclab.codecs.entropy.audio_files import reconstruct_file
from codeclab.codecs.resample import BlockResampler, resample
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 2]}


def make(channels=1, sample_rate=8000, **settings):
    parts = SEANetEncoder(**SHAPE, channels=channels), ResidualVQ(4, 4, 8), SEANetDecoder(**SHAPE, channels=channels)
    return Codec(*parts, sample_rate=sample_rate, **settings).eval()


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.segments, other.segments, strict=True))


def test_arrays_tensors_and_files_give_the_same_codes(tmp_path):
    codec = make()
    sound = (0.1 * np.random.default_rng(0).standard_normal(400)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 8000, "FLOAT")
    right = codec.encode(torch.from_numpy(sound)[None, None])
    frozen = sound.copy()
    frozen.setflags(write=False)  # as a memory map's or a data set's; torch would warn
    others = sound.astype(np.float64), sound.astype(">f4"), frozen
    for given in (sound, sound[None], sound[None, None], *others, tmp_path / "a.wav"):
        assert same(codec.encode(given), right)
    assert same(codec.encode(str(tmp_path / "a.wav")), right)
    assert same(codec.encode(sound, sample_rate=8000), right)


def test_channels_of_a_file_are_mixed_or_repeated(tmp_path):
    sound = 0.1 * torch.randn(2, 300)
    soundfile.write(tmp_path / "two.wav", sound.numpy().T, 8000, "FLOAT")
    soundfile.write(tmp_path / "one.wav", sound[0].numpy(), 8000, "FLOAT")
    mono = make()
    assert same(mono.encode(tmp_path / "two.wav"), mono.encode(sound.mean(0)[None, None]))
    stereo = make(2)
    assert same(stereo.encode(tmp_path / "one.wav"), stereo.encode(sound[:1].expand(2, -1)[None]))
    with pytest.raises(ValueError, match="audio has 2 channels; the codec takes 3 or 1"):
        make(3).encode(tmp_path / "two.wav")


def test_another_rate_is_resampled_and_said(tmp_path):
    codec = make()
    sound = 0.1 * torch.randn(1, 1, 480)
    with pytest.warns(ResampledWarning, match="audio of 16000 Hz is resampled to the codec's 8000 Hz"):
        codes = codec.encode(sound, sample_rate=16000)
    assert codes.length == 240
    assert same(codes, codec.encode(resample(sound, 16000, 8000)))
    soundfile.write(tmp_path / "a.flac", sound[0, 0].numpy(), 16000)
    with pytest.warns(ResampledWarning):
        assert codec.encode(tmp_path / "a.flac").length == 240


@pytest.mark.parametrize(
    ("audio", "more", "message"),
    [
        (np.zeros(40, dtype=np.int16), {}, "this array is int16, of which 16-bit samples become audio / 32768"),
        (np.zeros((400, 1)), {}, r"this is \[400, 1\], as soundfile reads it: give audio.T"),
        (np.zeros((2, 400)), {}, r"audio should be \[B, 1, N\]; this is \[1, 2, 400\]"),
        (np.zeros((1, 1, 1, 40)), {}, r"audio should be \[B, 1, N\]; this is \[1, 1, 1, 40\]"),
        ([0.0] * 40, {}, "audio is a list; it should be a tensor"),
        ("missing.wav", {}, "there is no file missing.wav"),
        (np.zeros(40), {"sample_rate": 0}, "sample_rate is 0"),
        (np.zeros(40), {"sample_rate": "8k"}, "sample_rate is '8k'; it should be a positive whole number of Hz"),
        (np.zeros(40), {"bitrate": "6"}, "bitrate is '6', a str; it should be a number of kbps, as 6;.* offers 6, 12"),
        (np.zeros(40), {"bitrate": True}, "bitrate is True, a bool"),
    ],
)
def test_what_cannot_be_coded(audio, more, message):
    with pytest.raises(ValueError, match=message):
        make().encode(audio, **more)


def test_files_that_are_no_audio(tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(ValueError, match="is not audio that libsndfile or FFmpeg can read"):
        make().encode(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", np.array([0.0, np.nan], dtype=np.float32), 8000, "FLOAT")
    with pytest.raises(ValueError, match="NaN or infinite"):
        AudioFile(tmp_path / "b.wav").read()
    soundfile.write(tmp_path / "c.wav", np.zeros(9), 8000)
    with pytest.raises(ValueError, match="is of 8000 Hz, not 16000; leave sample_rate out"):
        make().encode(tmp_path / "c.wav", sample_rate=16000)


def test_a_flac_that_does_not_know_its_length_is_read_to_its_end(tmp_path):
    soundfile.write(tmp_path / "a.flac", 0.1 * np.random.default_rng(0).standard_normal(20000), 8000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0  # the length in STREAMINFO: 36 bits, 0 where it is not known
    data[22:26] = bytes(4)
    (tmp_path / "unknown.flac").write_bytes(data)
    known, unknown = AudioFile(tmp_path / "a.flac"), AudioFile(tmp_path / "unknown.flac")
    assert (unknown.sample_rate, unknown.channels) == (8000, 1)
    assert torch.equal(unknown.read(), known.read())
    codec = make()
    assert same(codec.encode(tmp_path / "unknown.flac"), codec.encode(tmp_path / "a.flac"))
    assert reconstruct_file(codec, tmp_path / "unknown.flac", tmp_path / "out.wav", 4).seconds == 2.5


@pytest.mark.parametrize(("old", "new"), [(8000, 8000), (44100, 24000), (16000, 48000), (48000, 16000), (4001, 2000)])
def test_blocks_are_resampled_as_the_whole(old, new):
    whole = torch.randn(2, 30000)
    resampler = BlockResampler(old, new)
    cuts = [0, 1, 8, 700, 701, 9000, 22000, 30000]
    blocks = [resampler.push(whole[:, a:b], b == 30000) for a, b in zip(cuts, cuts[1:], strict=False)]
    torch.testing.assert_close(torch.cat(blocks, -1), resample(whole, old, new), rtol=1e-5, atol=1e-5)


def test_a_block_resampler_keeps_little():
    resampler = BlockResampler(44100, 24000)
    for _ in range(50):
        resampler.push(torch.zeros(1, 4096))
    assert resampler._buffer is not None
    assert resampler._buffer.shape[-1] < 4096 + 1000


def test_files_are_written_in_blocks_and_read_again(tmp_path):
    sound = 0.5 * torch.randn(2, 5000).clamp(-1, 1)
    with AudioWriter(tmp_path / "a.flac", 16000, 2) as writer:
        for piece in sound.split(777, dim=-1):
            writer.write(piece)
    file = AudioFile(tmp_path / "a.flac")
    assert (file.sample_rate, file.channels) == (16000, 2)
    assert [block.shape[-1] for block in file.blocks(2000)] == [2000, 2000, 1000]
    torch.testing.assert_close(file.read(), sound, rtol=0, atol=1.1 / 32768)
    with pytest.raises(ValueError, match="ends with one of .*wav"):
        AudioWriter(tmp_path / "a.txt", 16000, 2)


@pytest.mark.parametrize("settings", [{}, {"normalize": True, "segment": 0.01}])
def test_codes_are_saved_and_loaded(tmp_path, settings):
    codec = make(**settings)
    codes = codec.encode(torch.randn(2, 1, 200), n_codebooks=2)
    codes.save(tmp_path / "codes.safetensors")
    loaded = Codes.load(tmp_path / "codes.safetensors")
    assert same(loaded, codes)
    assert (loaded.length, loaded.sample_rate, loaded.bitrate) == (200, 8000, codes.bitrate)
    assert torch.equal(codec.decode(loaded), codec.decode(codes))
    codec.save(tmp_path / "codec")
    for path in (tmp_path / "codec" / "model.safetensors", tmp_path / "codec" / "config.json"):
        with pytest.raises(ValueError, match=r"is not a file of Codes.save"):
            Codes.load(path)
    with pytest.raises(ValueError, match=r"codec is a folder; it should be a file of Codes.save"):
        Codes.load(tmp_path / "codec")
    assert codes.first(1, 1.0).segments[0].shape[1] == 1
    for wrong in (0, 3, 99):
        with pytest.raises(ValueError, match=f"n_codebooks is {wrong}; these codes have 2, so it should be 1 to 2"):
            codes.first(wrong, 1.0)


def test_segments_of_one_length_are_coded_together_as_they_are_alone():
    codec = make(segment=0.01, overlap=0.1, normalize=True)
    audio = torch.randn(2, 1, 1500)
    codes = codec.encode(audio)
    assert len(codes.segments) == 21
    for (start, end), segment, scale in zip(codec.spans(1500), codes.segments, codes.scales, strict=True):
        alone = codec.encode_pieces(audio[..., start:end], 4)
        assert torch.equal(alone[0], segment)
        torch.testing.assert_close(alone[1], scale)


def test_a_codec_in_a_line_and_on_a_card():
    codec = make(2, bitrates=[6, 12])
    line = repr(codec)
    assert line.startswith("Codec(8000 Hz, stereo, 6 to 12 kbps, 2000 frames/s, 0.0 M parameters, SEANetEncoder + ")
    assert "\n" not in line
    assert "<th>bitrates</th><td>6 to 12 kbps</td>" in codec._repr_html_()
    html = codec.listen(torch.randn(1, 2, 100), 6)._repr_html_()
    players = re.findall(r"data:audio/wav;base64,([^\"]+)", html)
    assert len(players) == 2
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(players[1])))
    assert (sound.shape, rate) == ((100, 2), 8000)
