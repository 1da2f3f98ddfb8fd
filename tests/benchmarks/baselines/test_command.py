"""Encoders with a command line, by a template: here a toy that keeps the upper 8 of 16 bits and is 37 samples late."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from codeclab.benchmarks.baselines import make_baseline
from codeclab.benchmarks.baselines.command import CommandBaseline, read_template

ENCODE = """
import sys
source, target, bitrate, rate = sys.argv[1:5]
samples = open(source, "rb").read()
open(target, "wb").write(f"{bitrate:>8}".encode() + samples[1::2])
"""
DECODE = """
import sys
coded = open(sys.argv[1], "rb").read()[8:]
samples = bytes(37 * 2) + b"".join(bytes([128, value]) for value in coded)
open(sys.argv[2], "wb").write(samples)
"""


@pytest.fixture
def toy(tmp_path: Path) -> dict[str, Any]:
    """The arguments of the toy."""
    python = f"{shlex.quote(sys.executable)} -I -S"
    for name, program in (("encode", ENCODE), ("decode", DECODE)):
        (tmp_path / f"{name} it.py").write_text(program)
    encoder, decoder = (shlex.quote(str(tmp_path / f"{name} it.py")) for name in ("encode", "decode"))
    return {
        "name": "Toy",
        "encode": f"{python} {encoder} {{input}} {{output}} {{bitrate_bps}} {{sample_rate_khz}}",
        "decode": f"{python} {decoder} {{input}} {{output}}",
        "bitrates": [64, 128],
        "delay": 37,
        "audio": "s16le",
        "header_bytes": 8,
        "timeout": 20.0,
    }


def failing(tmp_path: Path, toy: dict[str, Any], program: str) -> CommandBaseline:
    """The toy with another program in place of its encoder."""
    (tmp_path / "fails.py").write_text(program)
    command = f"{shlex.quote(sys.executable)} -I -S {shlex.quote(str(tmp_path / 'fails.py'))} {{input}} {{output}}"
    return CommandBaseline(**toy | {"encode": command, "timeout": 0.5})


@pytest.mark.parametrize("audio", ["wav", "s16le"])
def test_sixteen_bits_pass_as_they_are(audio: str) -> None:
    original = torch.arange(-32768, 32768, 7)[None] / 32768
    command = (
        f"{shlex.quote(sys.executable)} -I -S -c 'import shutil, sys; shutil.copy(*sys.argv[1:])' {{input}} {{output}}"
    )
    decoded, _ = CommandBaseline("Copy", command, command, audio=audio).transcode(original, 16000, 256)
    assert torch.equal(decoded, original)


def test_the_delay_is_taken_off_and_the_rate_is_the_files(toy: dict[str, Any]) -> None:
    original = torch.rand(1, 3001, generator=torch.Generator().manual_seed(0)) * 2 - 1
    decoded, kbps = CommandBaseline(**toy).transcode(original, 16000, 128)
    whole = (original * 32768).round()
    torch.testing.assert_close(decoded, ((whole / 256).floor() * 256 + 128) / 32768, atol=1e-6, rtol=0)
    assert kbps == pytest.approx(128)  # 8 bits a sample at 16 kHz; the 8 bytes of header are not counted


def test_other_rates_are_resampled_to_its_own_and_back(toy: dict[str, Any]) -> None:
    original = 0.5 * torch.sin(torch.arange(4800) / 20)[None]
    decoded, kbps = CommandBaseline(**toy).transcode(original, 48000, 64)
    assert decoded.shape == original.shape
    assert (decoded - original)[0, 300:-300].abs().max() < 0.01
    assert kbps == pytest.approx(128)


def test_a_wav_may_come_back_at_another_rate(toy: dict[str, Any], tmp_path: Path) -> None:
    copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    (tmp_path / "copy.py").write_text(copy)
    command = f"{shlex.quote(sys.executable)} -I -S {shlex.quote(str(tmp_path / 'copy.py'))} {{input}} {{output}}"
    wav = CommandBaseline("WAV", command, command, sample_rate=8000, channels=2, header_bytes=44, overhead_kbps=6)
    original = 0.5 * torch.sin(torch.arange(1600) / torch.tensor([[20.0], [30.0]]))
    decoded, kbps = wav.transcode(original, 8000, 1)
    assert (decoded - original).abs().max() < 1e-4
    assert kbps == pytest.approx(8000 * 2 * 16 / 1000 - 6)
    assert CommandBaseline(**toy | {"rate": "nominal"}).transcode(original[:1], 8000, 64)[1] == 64


def test_no_shell_reads_the_command(toy: dict[str, Any], tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    toy["encode"] += f" ; touch {marker} ; $(touch {marker})"
    CommandBaseline(**toy).transcode(torch.zeros(1, 160), 16000, 64)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.exit('no licence\\nfound')", "Toy: .*fails.py.* ended with 1: no licence / found"),
        ("while True: pass", "Toy: .* was stopped after 0.5 s"),
        ("print('done')", "Toy: .* wrote nothing: done"),
    ],
)
def test_a_failure_says_what_the_command_said(toy: dict[str, Any], tmp_path: Path, program: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message) as raised:
        failing(tmp_path, toy, program).transcode(torch.zeros(1, 160), 16000, 64)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"encode": "enc {input}"}, r"the command 'enc \{input\}' has no \{output\}; it may use \{input\}, \{output\}"),
        ({"decode": "dec {input} {output} {rate}"}, r"has an unknown \{rate\}"),
        ({"decode": "dec {input} {output} {bitrate.real}"}, r"has an unknown \{bitrate.real\}"),
        ({"encode": "enc 'a {input} {output}"}, "cannot be read: No closing quotation"),
        ({"audio": "flac"}, "audio should be wav or s16le"),
        ({"delay": -1}, "0 or more"),
        ({"timeout": 0}, "should be above 0"),
    ],
)
def test_a_wrong_template_is_refused_before_it_runs(toy: dict[str, Any], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CommandBaseline(**toy | wrong)


def test_only_offered_bitrates(toy: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Toy does not offer 100 kbps; it offers 64, 128 kbps"):
        CommandBaseline(**toy).transcode(torch.zeros(1, 160), 16000, 100)


def test_a_missing_program_is_named_with_how_to_get_it(toy: dict[str, Any]) -> None:
    absent = CommandBaseline(**toy | {"encode": "no-such-encoder {input} {output}", "install": "ask\n 3GPP"})
    assert absent.available() == "Toy needs no-such-encoder on the PATH (ask 3GPP)"
    with pytest.raises(RuntimeError, match="Toy needs no-such-encoder"):
        absent.transcode(torch.zeros(1, 160), 16000, 64)
    assert CommandBaseline(**toy).available() is None


def test_evs_comes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    evs = make_baseline({"part": "CommandBaseline", "file": "evs", "sample_rate": 48000})
    assert (evs.name, evs.sample_rate, evs.channels) == ("EVS", 48000, 1)
    assert {5.9, 9.6} <= set(evs.bitrates)  # those of EnCodec's Tables 1 and 3
    assert "EVS needs EVS_cod and EVS_dec on the PATH (compile" in (evs.available() or "")
    # "EVS_cod [Options] R Fs input_file bitstream_file": R in bit/s, Fs in kHz (TS 26.443, readme).
    words = evs._words(evs.encode, {"input": "a", "output": "b"}, 9.6)  # type: ignore[attr-defined]
    assert words == ["EVS_cod", "-q", "-mime", "9600", "48", "a", "b"]


def test_templates_that_are_not_there_or_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no command template 'amr'; there are: evs"):
        read_template("amr")
    (tmp_path / "list.yaml").write_text("- encode")
    with pytest.raises(ValueError, match="should hold the arguments of CommandBaseline"):
        read_template(str(tmp_path / "list.yaml"))
    (tmp_path / "half.yaml").write_text("name: Half\nencode: e {input} {output}\n")
    with pytest.raises(ValueError, match="CommandBaseline needs decode"):
        make_baseline({"part": "CommandBaseline", "file": str(tmp_path / "half.yaml")})
