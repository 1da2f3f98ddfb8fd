"""``codeclab encode``, ``decode``, ``reconstruct`` and ``stream``: files, folders and pipes through a codec."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from codeclab.codecs.blocks import decode_blocks, encode_blocks
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.audio_files import audio_blocks
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.container_reader import read_container
from codeclab.codecs.resample import resample
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.cli.code_files import run
from codeclab.experiments.data.module import AudioData
from codeclab.quantizers.residual_vq import ResidualVQ

LIMIT = "resource.RLIMIT_FSIZE, (1000, 1000)"
SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}


def make(**settings):
    torch.manual_seed(0)
    parts = SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE)
    return Codec(*parts, sample_rate=8000, **settings).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make().save(tmp_path / "codec")
    return tmp_path


def noise(path: Path, seconds: float, rate: int = 8000, channels: int = 1) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels)).astype(np.float32)
    soundfile.write(path, sound, rate, "FLOAT")
    return sound


def test_a_file_there_and_back_is_the_librarys(folder, capsys):
    sound = noise(folder / "a.wav", 9.3)
    codec = ["--codec", str(folder / "codec")]
    assert run("encode", [str(folder / "a.wav"), str(folder / "a.clc"), *codec, "--bitrate", "8"]) == 0
    assert capsys.readouterr().out.startswith("1 file, 9.3 s, 8")
    assert run("decode", [str(folder / "a.clc"), str(folder / "b.wav"), *codec]) == 0
    assert run("reconstruct", [str(folder / "a.wav"), str(folder / "c.wav"), *codec, "--bitrate", "8"]) == 0
    library = Codec.from_pretrained(folder / "codec")
    codes, damage = read_container(folder / "a.clc", library, Coders(library).of_header)
    whole = library.encode(sound[:, 0], bitrate=8.0)
    assert damage == []
    assert torch.equal(codes.codes, whole.codes)
    for name in ("b.wav", "c.wav"):
        decoded, rate = soundfile.read(folder / name, dtype="float32")
        assert (rate, len(decoded)) == (8000, len(sound))
        np.testing.assert_allclose(decoded, library.decode(whole)[0, 0].numpy(), atol=1.1 / 32768)
    assert soundfile.info(folder / "b.wav").subtype == "PCM_16"


def test_bfloat16_is_another_way_to_nearly_the_same_audio(folder):
    speech = AudioData("recordings", sample_rate=16000, clip_seconds=3.0).clips("test")[0]
    soundfile.write(folder / "a.wav", speech.audio[0].numpy(), 16000)
    assert run("encode", [str(folder / "a.wav"), str(folder / "a.clc")]) == 0
    decoded = {}
    for precision in ("f32", "bf16"):
        target = folder / f"{precision}.wav"
        assert run("decode", [str(folder / "a.clc"), str(target), "--precision", precision]) == 0
        decoded[precision], _ = soundfile.read(target)
    error, signal = np.std(decoded["bf16"] - decoded["f32"]), np.std(decoded["f32"])
    assert 0 < error < 0.03 * signal


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.wav", "a.clc", "--codec", "CODEC"], "there is no file or folder missing.wav"),
        (["a.wav", "a.clc", "--codec", "CODEC", "--bitrate", "7"], "does not offer 7 kbps; it offers 4, 8, 12 kbps"),
        (["a.wav", "a.clc", "--codec", "nowhere"], "there is no nowhere; the working directory holds: "),
        (["a.wav", "a.clc", "--codec", "CODEC", "--entropy", "magic"], "no entropy coder 'magic'; it has: none"),
        ([".", "a.wav", "--codec", "CODEC"], "is a folder and a.wav a file"),
        (["codec", "out", "--codec", "CODEC"], "there are no files that end with"),
        ([".", "out", "--codec", "CODEC", "--jobs", "0"], "--jobs is 0"),
    ],
)
def test_commands_that_are_wrong(folder, monkeypatch, capsys, words, message):
    noise(folder / "a.wav", 0.1)
    monkeypatch.chdir(folder)
    words = [str(folder / "codec") if word == "CODEC" else word for word in words]
    assert run("encode", words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["encode", "decode", "reconstruct"])
def test_a_file_is_not_replaced_by_its_own_result(folder, capsys, command):
    source = folder / "a.wav"
    noise(source, 0.1)
    before = source.read_bytes()
    assert run(command, [str(source), str(source), "--codec", str(folder / "codec")]) == 2
    assert f"would replace {source}, which is to be read" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_codes_of_a_wrong_codec_are_an_error_and_no_noise(folder, capsys):
    noise(folder / "a.wav", 0.5)
    torch.manual_seed(1)
    other = Codec(SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE), sample_rate=8000)
    other.save(folder / "other")
    assert run("encode", [str(folder / "a.wav"), str(folder / "a.clc"), "--codec", str(folder / "codec")]) == 0
    capsys.readouterr()
    assert run("decode", [str(folder / "a.clc"), str(folder / "b.wav"), "--codec", str(folder / "other")]) == 1
    said = capsys.readouterr()
    assert "a.clc cannot be read: its codes are of another codec" in said.err
    assert said.out == ""  # no totals of no files
    assert not (folder / "b.wav").exists()


def test_a_damaged_chunk_is_silent_and_its_time_is_printed(folder, capsys):
    noise(folder / "a.wav", 60.0)
    words = ["--codec", str(folder / "codec")]
    assert run("encode", [str(folder / "a.wav"), str(folder / "a.clc"), *words, "--bitrate", "8"]) == 0
    data = bytearray((folder / "a.clc").read_bytes())
    payload = 60 * 8000 / 8
    assert payload < len(data) < 1.01 * payload  # a minute's framing is below a percent
    assert run("decode", [str(folder / "a.clc"), str(folder / "whole.wav"), *words]) == 0
    data[len(data) // 2] ^= 1
    (folder / "b.clc").write_bytes(data)
    capsys.readouterr()
    assert run("decode", [str(folder / "b.clc"), str(folder / "b.wav"), *words]) == 0
    printed = capsys.readouterr().err
    span = re.search(r"b\.clc is damaged, (\d+\.\d\d) s to (\d+\.\d\d) s: damaged", printed)
    assert span, printed
    start, end = (round(float(second) * 8000) for second in span.groups())
    assert 0 < end - start < 4 * 8000
    whole, hurt = (soundfile.read(folder / name)[0] for name in ("whole.wav", "b.wav"))
    assert len(whole) == len(hurt) == 60 * 8000
    assert not hurt[start:end].any()
    assert np.array_equal(hurt[:start], whole[:start])
    assert not np.array_equal(hurt[start:end], whole[start:end])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says what a process held at most")
def test_memory_does_not_grow_with_the_length(folder):
    words = ["--codec", str(folder / "codec"), "--jobs", "1"]
    most = []
    for seconds in (60, 1200):
        noise(folder / "a.wav", seconds)
        program = (
            "import sys; from codeclab.experiments.cli.code_files import run;"
            "assert run('encode', sys.argv[1:3] + sys.argv[4:]) == 0;"
            "assert run('decode', sys.argv[2:]) == 0;"
            "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        files = [str(folder / name) for name in ("a.wav", "a.clc", "b.wav")]
        done = subprocess.run([sys.executable, "-c", program, *files, *words], capture_output=True, text=True)
        most.append(int(done.stdout.splitlines()[-1]))
    # KiB; nineteen minutes more of audio alone would be 35 MiB.
    assert most[1] - most[0] < 12 * 1024


@pytest.mark.parametrize("settings", [{}, {"segment": 0.2, "overlap": 0.1, "normalize": True}, {"normalize": True}])
def test_blocks_of_a_file_are_coded_as_the_whole(tmp_path, settings):
    sound = noise(tmp_path / "a.wav", 10.1, 16000)
    codec = make(**settings)
    audio = torch.cat(list(audio_blocks(codec, tmp_path / "a.wav")), dim=-1)
    torch.testing.assert_close(audio, resample(torch.from_numpy(sound.T)[None], 16000, 8000), rtol=0, atol=1e-5)
    codes = list(encode_blocks(codec, audio_blocks(codec, tmp_path / "a.wav"), 2))
    whole = codec.encode(audio, n_codebooks=2)
    segments = [segment for part in codes for segment in part.segments]
    assert torch.equal(torch.cat(segments, -1), torch.cat(whole.segments, -1))
    decoded = torch.cat(list(decode_blocks(codec, iter(codes))), dim=-1)
    assert torch.equal(decoded, codec.decode(whole))


@pytest.mark.parametrize("command", ["encode", "stream", "evaluate", "fit-lm"])
def test_a_device_that_this_machine_lacks_is_one_line(folder, run_command, monkeypatch, command):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    noise(folder / "data" / "a.wav", 1.0)
    words = {
        "encode": ["data/a.wav", "a.clc", "--codec", "codec"],
        "stream": ["encode", "--codec", "codec"],
        "evaluate": ["codec", "--data", "data", "--split", "all", "--metrics", "si_sdr"],
        "fit-lm": ["--codec", "codec", "--config", "laptop", "--data", "data"],
    }[command]
    status, _, err = run_command(command, *words, "--device", "cuda")
    assert (status, err.splitlines()[-1]) == (2, f"codeclab {command}: this machine has no cuda; it has: cpu")
    assert "Traceback" not in err


def test_codes_in_the_place_of_audio_are_refused(folder, run_command):
    noise(folder / "a.wav", 1.0)
    kept = noise(folder / "b.wav", 1.0)
    status, _, err = run_command("encode", "a.wav", "b.wav", "--codec", "codec")
    assert (status, err.count("\n")) == (2, 1)
    assert "b.wav would hold codes, and no audio; OUT should end with .clc, as in b.clc" in err
    assert (soundfile.read(folder / "b.wav", dtype="float32")[0] == kept[:, 0]).all()


def test_messages_name_the_file_and_not_its_temporary_name(folder, run_command):
    noise(folder / "a.wav", 1.0)
    status, _, err = run_command("reconstruct", "a.wav", "b.txt", "--codec", "codec")
    assert status == 1
    assert err.startswith("codeclab reconstruct: b.txt cannot be written: a file of decoded audio ends with one of")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_neither_file_nor_folder(folder, run_command):
    os.mkfifo(folder / "pipe")
    err = run_command("encode", "pipe", "a.clc", "--codec", "codec")[2]
    assert err == "codeclab encode: pipe is neither a file nor a folder\n"


@pytest.mark.parametrize("command", ["reconstruct", "export"])
def test_a_full_disk_is_one_line(folder, command):
    noise(folder / "a.wav", 20.0)
    words = {"reconstruct": ["a.wav", "b.wav", "--codec", "codec"], "export": ["codec", "out"]}[command]
    # Writing beyond this size fails, as on a full disk.
    limits = f"import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit({LIMIT})"
    started = f"from codeclab.experiments.cli import main; main({[command, *words]})"
    done = subprocess.run([sys.executable, "-c", f"{limits}; {started}"], cwd=folder, capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert not [path for path in folder.rglob("*") if path.name.startswith((".", "b."))]
