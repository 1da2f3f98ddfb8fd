"""Live coding of raw PCM equals the codec's own calls, whatever the pieces."""

import time

import numpy as np
import pytest
import torch

from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.container import Header, check_header, chunk_of
from codeclab.codecs.entropy.container_reader import Damage, read_container
from codeclab.codecs.entropy.live_coder import LiveCoder
from codeclab.codecs.entropy.live_settings import LiveSettings
from codeclab.codecs.io.pcm import Pcm
from codeclab.codecs.layers.layer_stream import NotStreamableError


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [7, 320, 4801])
@pytest.mark.parametrize("channels", [1, 2])
def test_pcm_in_pieces_of_any_size_is_the_librarys(tmp_path, size, channels, live_codec, live_audio):
    codec, audio = live_codec(channels), live_audio(channels)
    whole = codec.encode(audio, n_codebooks=2)
    settings = LiveSettings(bitrate=8.0, pcm="f32le")
    data = Pcm("f32le", channels).bytes(audio)
    both = b"".join(LiveCoder(codec, settings).both(cut(data, size)))
    heard = torch.from_numpy(np.frombuffer(both, "<f4").reshape(-1, channels).T.copy())[None]
    torch.testing.assert_close(heard, codec.decode(whole), rtol=0, atol=1e-5)
    coded = b"".join(LiveCoder(codec, settings).encode(cut(data, size)))
    (tmp_path / "a.clc").write_bytes(coded)
    codes, damage = read_container(tmp_path / "a.clc", codec, Coders(codec).of_header)
    assert damage == []
    assert codes.length == audio.shape[-1]
    assert torch.equal(codes.codes, whole.codes)
    decoded = b"".join(LiveCoder(codec, settings).decode(cut(coded, size)))
    np.testing.assert_allclose(np.frombuffer(decoded, "<f4"), np.frombuffer(both, "<f4"), atol=1e-5)


def test_a_damaged_chunk_is_silent_and_reported_while_the_stream_goes_on(live_codec, live_audio):
    codec, audio = live_codec(), live_audio()
    coded = b"".join(LiveCoder(codec, LiveSettings(chunk_seconds=0.1)).encode([Pcm("s16le", 1).bytes(audio)]))
    damaged = bytearray(coded)
    damaged[len(coded) // 2] ^= 1
    reported: list[Damage] = []
    live = LiveCoder(codec, LiveSettings(pcm="f32le"), on_damage=reported.append)
    early = []  # whether the damage was reported by then
    pieces = []
    for data in live.decode(cut(bytes(damaged), 50)):
        pieces.append(data)
        early.append(bool(reported))
    heard = np.frombuffer(b"".join(pieces), "<f4")
    assert len(heard) == audio.shape[-1]
    assert [str(damage).split(":")[0] for damage in reported] == ["0.20 s to 0.30 s"]
    assert live.damage == reported
    assert True in early[:-1]
    assert not heard[1600:2400].any()
    assert heard[2400:].any()


def test_it_counts_the_audio_and_the_time_it_waited(live_codec, live_audio):
    codec, data = live_codec(), Pcm("s16le", 1).bytes(live_audio())

    def late():
        for piece in cut(data, 4000):
            time.sleep(0.05)
            yield piece

    for direction in ("encode", "both"):
        live = LiveCoder(codec)
        began = time.perf_counter()
        coded = b"".join(getattr(live, direction)(late()))
        assert live.seconds == 0.5
        assert 0.1 <= live.waiting_seconds <= time.perf_counter() - began
        if direction == "encode":
            decoder = LiveCoder(codec)
            assert len(b"".join(decoder.decode([coded]))) == len(data)
            assert decoder.seconds == 0.5


def test_a_piece_without_bytes_is_not_the_end(live_codec, live_audio):
    codec, data = live_codec(), Pcm("s16le", 1).bytes(live_audio())
    pieces = [data[:999], b"", data[999:]]
    assert b"".join(LiveCoder(codec).encode(pieces)) == b"".join(LiveCoder(codec).encode([data]))


def test_a_codec_that_is_not_causal_says_so_or_is_late(live_codec):
    codec = live_codec(causal=False)
    with pytest.raises(NotStreamableError, match="not causal: a sample depends on"):
        LiveCoder(codec)
    assert b"".join(LiveCoder(codec, LiveSettings(lookahead=True)).both([bytes(1600)]))


def test_the_longest_chunk_is_one_that_a_decoder_takes(live_codec):
    codec = live_codec()
    codec.sample_rate = 8001  # 60 s are 60,007.5 frames
    check_header(Header.of(codec, 1, Coders(codec).named("none"), chunk_of(60.0, codec)), codec)
