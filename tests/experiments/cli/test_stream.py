"""``codeclab stream``: raw PCM through a codec, live, in pipes."""

import os
import shlex
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

from codeclab.codecs.codec import Codec
from codeclab.codecs.io.pcm import Pcm

RATE = 8000


def program(*words: str) -> list[str]:
    return [sys.executable, "-m", "codeclab.experiments", "stream", *words]


def test_commands_say_what_is_wrong(tmp_path, live_codec):
    live_codec(causal=False).save(tmp_path / "codec")
    late = subprocess.run(program("both", "--codec", str(tmp_path / "codec")), input=b"", capture_output=True)
    assert late.returncode == 2
    assert b"Build it causal or with segments, or accept that delay: --lookahead" in late.stderr
    live_codec(2).save(tmp_path / "stereo")
    odd = subprocess.run(program("both", "--codec", str(tmp_path / "stereo")), input=bytes(7), capture_output=True)
    assert odd.returncode == 2
    assert b"the input ends 3 bytes into a sample of 2 channels of 2 bytes" in odd.stderr


@pytest.mark.parametrize(("closed", "name"), [("<&-", "input"), (">&-", "output")])
def test_a_closed_descriptor_is_told(closed, name):
    done = subprocess.run(f"{shlex.join(program('both'))} {closed}", shell=True, capture_output=True, text=True)
    assert done.stderr == f"codeclab stream: standard {name} is closed; it should be a pipe or file\n"
    assert done.returncode == 2


def test_a_closed_standard_error_neither_ends_nor_spoils_a_stream(tmp_path, live_codec):
    live_codec().save(tmp_path / "codec")
    words = shlex.join(program("encode", "--codec", str(tmp_path / "codec")))
    heard, deaf = (
        subprocess.run(f"{words} {closed}", shell=True, input=bytes(8000), stdout=subprocess.PIPE)
        for closed in ("2>/dev/null", "2>&-")
    )
    assert (deaf.returncode, deaf.stdout) == (0, heard.stdout)
    assert deaf.stdout


def test_a_real_pipe_at_the_pace_of_the_audio(tmp_path, live_codec, live_audio):
    live_codec().save(tmp_path / "codec")
    audio = Pcm("s16le", 1).audio(Pcm("s16le", 1).bytes(live_audio(1, 2.0)))  # as whole numbers hold it
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
    for start in range(0, len(data), 320):  # 20 ms
        encoder.stdin.write(data[start : start + 320])
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


def test_a_chunk_that_no_decoder_would_take_is_refused(tmp_path, live_codec, run_command):
    live_codec().save(tmp_path / "codec")
    for chunk, given in (("61", "61"), ("nan", "nan"), ("-1", "-1")):
        status, out, err = run_command("stream", "encode", "--codec", "codec", "--chunk", chunk)
        assert (status, out) == (2, "")
        assert err == f"codeclab stream: --chunk is {given} s; it should be from 0 to 60\n"


def test_a_wav_file_is_not_taken_for_raw_pcm(tmp_path, live_codec):
    live_codec().save(tmp_path / "codec")
    soundfile.write(tmp_path / "a.wav", np.zeros(100), RATE)
    words = program("encode", "--codec", str(tmp_path / "codec"))
    wav = subprocess.run(words, input=(tmp_path / "a.wav").read_bytes(), capture_output=True)
    assert wav.returncode == 2
    assert b"the input is a WAV file, not raw PCM; for files there are `codeclab encode`" in wav.stderr
