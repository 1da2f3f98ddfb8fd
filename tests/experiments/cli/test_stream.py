"""``codeclab stream``: raw PCM through a codec, live; equal to the library's call whatever the pieces."""

import argparse
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.container_reader import read_container
from codeclab.codecs.layers.layer_stream import NotStreamableError
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.cli.stream import Live, Pcm, make_parser
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4], "pad_mode": "constant"}
RATE = 8000


def make(channels: int = 1, causal: bool = True) -> Codec:
    torch.manual_seed(0)
    shape = SHAPE | {"channels": channels, "causal": causal}
    return Codec(SEANetEncoder(**shape), ResidualVQ(4, 3, 16), SEANetDecoder(**shape), sample_rate=RATE).eval()


def options(*words: str) -> argparse.Namespace:
    return make_parser().parse_args([*words, "--codec", "none"])


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def sound(channels: int, seconds: float = 0.5) -> torch.Tensor:
    return 0.1 * torch.randn(1, channels, round(seconds * RATE), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [7, 320, 4801])
@pytest.mark.parametrize("channels", [1, 2])
def test_pcm_in_pieces_of_any_size_is_the_librarys(tmp_path, size, channels):
    codec, audio = make(channels), sound(channels)
    whole = codec.encode(audio, n_codebooks=2)
    words = ["--format", "f32le", "--bitrate", "8"]
    data = Pcm("f32le", channels).bytes(audio)
    both = b"".join(Live(codec, options("both", *words)).both(iter(cut(data, size))))
    heard = torch.from_numpy(np.frombuffer(both, "<f4").reshape(-1, channels).T.copy())[None]
    torch.testing.assert_close(heard, codec.decode(whole), rtol=0, atol=1e-5)
    coded = b"".join(Live(codec, options("encode", *words)).encode(iter(cut(data, size))))
    (tmp_path / "a.clc").write_bytes(coded)
    codes, damage = read_container(tmp_path / "a.clc", codec, Coders(codec).of_header)
    assert damage == []
    assert codes.length == audio.shape[-1]
    assert torch.equal(codes.codes, whole.codes)
    decoded = b"".join(Live(codec, options("decode", *words)).decode(iter(cut(coded, size))))
    np.testing.assert_allclose(np.frombuffer(decoded, "<f4"), np.frombuffer(both, "<f4"), atol=1e-5)


def test_whole_numbers_are_rounded_and_cut_at_full_scale():
    pcm = Pcm("s16le", 2)
    audio = torch.tensor([[[0.5, -1.0], [1.5, 0.25]]])
    data = pcm.bytes(audio)
    assert np.frombuffer(data, "<i2").tolist() == [16384, 32767, -32768, 8192]
    assert pcm.audio(data[:3]).shape == (1, 2, 0)
    assert pcm.audio(data[3:]).tolist() == [[[0.5, -1.0], [32767 / 32768, 0.25]]]


def test_a_damaged_chunk_is_silent_and_reported_while_the_stream_goes_on(capsys):
    codec, audio = make(), sound(1)
    coded = b"".join(Live(codec, options("encode", "--chunk", "0.1")).encode(iter([Pcm("s16le", 1).bytes(audio)])))
    damaged = bytearray(coded)
    damaged[len(coded) // 2] ^= 1
    live = Live(codec, options("decode", "--format", "f32le"))
    heard = np.frombuffer(b"".join(live.decode(iter(cut(bytes(damaged), 50)))), "<f4")
    assert len(heard) == audio.shape[-1]
    assert "damaged, 0.20 s to 0.30 s" in capsys.readouterr().err
    assert not heard[1600:2400].any()
    assert heard[2400:].any()


def test_a_codec_that_is_not_causal_says_so_or_is_late():
    codec = make(causal=False)
    with pytest.raises(NotStreamableError, match="not causal: a sample depends on"):
        Live(codec, options("both"))
    assert b"".join(Live(codec, options("both", "--lookahead")).both(iter([bytes(1600)])))


def program(*words: str) -> list[str]:
    return [sys.executable, "-m", "codeclab.experiments", "stream", *words]


def test_commands_say_what_is_wrong(tmp_path):
    make(causal=False).save(tmp_path / "codec")
    late = subprocess.run(program("both", "--codec", str(tmp_path / "codec")), input=b"", capture_output=True)
    assert late.returncode == 2
    assert b"Build it causal or with segments, or accept that delay: --lookahead" in late.stderr
    make(2).save(tmp_path / "stereo")
    odd = subprocess.run(program("both", "--codec", str(tmp_path / "stereo")), input=bytes(7), capture_output=True)
    assert odd.returncode == 2
    assert b"the input ends 3 bytes into a sample of 2 channels of 2 bytes" in odd.stderr


def test_a_real_pipe_at_the_pace_of_the_audio(tmp_path):
    make().save(tmp_path / "codec")
    audio = Pcm("s16le", 1).audio(Pcm("s16le", 1).bytes(sound(1, 2.0)))  # as whole numbers hold it
    data = Pcm("s16le", 1).bytes(audio)
    words = ["--codec", str(tmp_path / "codec"), "--bitrate", "8"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
    encoder = subprocess.Popen(program("encode", *words, "--chunk", "0.1"), stdout=subprocess.PIPE, **pipes)
    decoder = subprocess.Popen(program("decode", *words), stdout=subprocess.PIPE, **pipes | {"stdin": encoder.stdout})
    heard = bytearray()

    def listen() -> None:
        while part := os.read(decoder.stdout.fileno(), 4096):
            heard.extend(part)

    listener = threading.Thread(target=listen)
    listener.start()
    for process in (encoder, decoder):
        assert b"8000 Hz, 1 channel, s16le, 8 kbps" in process.stderr.readline()
    for piece in cut(data, 320):  # 20 ms
        encoder.stdin.write(piece)
        encoder.stdin.flush()
        time.sleep(0.02)
    # Nothing has ended yet: all chunks that are complete come out, those of the first 1.9 s at least.
    patience = time.monotonic() + 60
    while len(heard) < 2 * RATE * 1.9 and time.monotonic() < patience:
        time.sleep(0.02)
    assert len(heard) >= 2 * RATE * 1.9
    encoder.stdin.close()
    assert encoder.wait(60) == decoder.wait(60) == 0
    listener.join()
    library = Codec.from_pretrained(tmp_path / "codec")
    wanted = Pcm("s16le", 1).bytes(library.decode(library.encode(audio, bitrate=8.0)))
    difference = np.frombuffer(bytes(heard), "<i2").astype(int) - np.frombuffer(wanted, "<i2")
    assert np.abs(difference).max() <= 1
    for process in (encoder, decoder):
        process.stderr.close()
    decoder.stdout.close()
    encoder.stdout.close()
