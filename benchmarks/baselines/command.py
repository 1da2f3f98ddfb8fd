"""Any codec with a command line, by a template of its commands."""

import shlex
import shutil
import string
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import soundfile
import torch
import yaml
from torch import Tensor
from torch.nn.functional import pad

from codeclab.benchmarks.baselines.base import Baseline, offered_rate, require
from codeclab.codecs.resample import resample, same_length
from codeclab.codecs.wording import counted

TEMPLATES = Path(__file__).parent
FORMATS = ("wav", "s16le")
RAW = {"format": "RAW", "subtype": "PCM_16", "endian": "LITTLE"}
"""The second of these formats, as ``soundfile`` names it."""

RATES = ("file", "nominal")
LINES_OF_ERROR = 5
FULL_SCALE = 32768
"""The 16-bit integer that is 1.0, as libsndfile reads it; the largest one that can be written is one less."""


@dataclass(eq=False)
class CommandBaseline(Baseline):
    """A codec run as two programs: one encodes a file of audio, the other decodes what that wrote.

    A command is split into words as a shell would split it, and run without one. In each word stand ``{input}`` and
    ``{output}`` for files, ``{bitrate}`` (kbps), ``{bitrate_bps}``, ``{sample_rate}`` (Hz) and ``{sample_rate_khz}``.

    Args:
        name: name of the codec in tables.
        encode: the command that encodes.
        decode: the command that decodes.
        bitrates: bitrates in kbps that may be requested; empty if any may.
        sample_rate: sample rate of the encoder's input in Hz.
        channels: number of channels of the encoder's input.
        delay: delay of the decoded audio, in samples at ``sample_rate``.
        audio: format of the audio files: "wav" (16-bit PCM), or "s16le" (the same without a header).
        suffix: end of the encoded file's name, for programs that tell the format by it.
        rate: source of the used kbps: "file" (the encoded file's bits over the seconds that were given), or
            "nominal" (the requested bitrate), where the file is no measure, such as ITU-T G.192's 16 bits a bit.
        header_bytes: bytes at the start of the encoded file that are not counted.
        overhead_kbps: bitrate of the container's frame headers, in kbps, which is not counted.
        timeout: longest time of a command in seconds.
        install: way to get the programs, for the message where they are missing.

    Raises:
        ValueError: a command lacks a placeholder or has an unknown one, or an argument is out of its range.
    """

    name: str
    encode: str
    decode: str
    bitrates: list[float] = field(default_factory=list)
    sample_rate: int = 16000
    channels: int = 1
    delay: int = 0
    audio: str = "wav"
    suffix: str = ".bin"
    rate: str = "file"
    header_bytes: int = 0
    overhead_kbps: float = 0.0
    timeout: float = 60.0
    install: str | None = None

    def __post_init__(self) -> None:
        """Refuse commands and arguments with which nothing could be run."""
        if self.audio not in FORMATS or self.rate not in RATES:
            raise ValueError(
                f"{self.name}: audio is {self.audio!r} and rate {self.rate!r}; audio should be "
                f"{' or '.join(FORMATS)}, and rate {' or '.join(RATES)}"
            )
        least = min(self.sample_rate, self.channels, self.timeout)
        if least <= 0 or min(self.delay, self.header_bytes, self.overhead_kbps) < 0:
            raise ValueError(
                f"{self.name}: sample_rate, channels and timeout should be above 0; "
                "delay, header_bytes and overhead_kbps should be 0 or more"
            )
        self.bitrates = [float(bitrate) for bitrate in self.bitrates]
        for command in (self.encode, self.decode):
            self._words(command, {"input": "a", "output": "b"}, 1.0)

    def available(self) -> str | None:
        """None, or the programs that are not on the ``PATH``."""
        programs = dict.fromkeys(shlex.split(command)[0] for command in (self.encode, self.decode))
        missing = [program for program in programs if shutil.which(program) is None]
        how = f" ({' '.join(self.install.split())})" if self.install else ""
        return f"{self.name} needs {' and '.join(missing)} on the PATH{how}" if missing else None

    def transcode(self, audio: Tensor, sample_rate: int, bitrate: float) -> tuple[Tensor, float]:
        """Encode and decode; see ``Baseline``.

        Raises:
            ValueError: the bitrate or the number of channels does not suit it.
            RuntimeError: a program is missing, fails (with what it wrote on standard error), writes no audio of these
                channels, or takes longer than ``timeout``.
        """
        require(self, audio, bitrate, most_channels=self.channels)
        bitrate = offered_rate(self, bitrate)
        given = pad(resample(audio, sample_rate, self.sample_rate), (0, self.delay))
        with TemporaryDirectory() as folder:
            original, decoded = (Path(folder) / f"{name}.{self.audio}" for name in ("original", "decoded"))
            encoded = Path(folder) / f"encoded{self.suffix}"
            self._write(original, given)
            self._run(self.encode, original, encoded, bitrate)
            self._run(self.decode, encoded, decoded, bitrate)
            reconstruction, rate = self._read(decoded, audio.shape[0])
            size = encoded.stat().st_size
        seconds = given.shape[1] / self.sample_rate
        kbps = bitrate if self.rate == "nominal" else 8 * (size - self.header_bytes) / seconds / 1000
        reconstruction = resample(reconstruction[:, round(self.delay * rate / self.sample_rate) :], rate, sample_rate)
        return same_length(reconstruction, audio.shape[1]), kbps - (self.overhead_kbps if self.rate == "file" else 0.0)

    def _words(self, command: str, files: dict[str, str], bitrate: float) -> list[str]:
        values = files | {
            "bitrate": f"{bitrate:g}",
            "bitrate_bps": str(round(1000 * bitrate)),
            "sample_rate": str(self.sample_rate),
            "sample_rate_khz": f"{self.sample_rate / 1000:g}",
        }
        try:
            words = shlex.split(command)
            used = {field for word in words for _, field, _, _ in string.Formatter().parse(word) if field is not None}
        except ValueError as error:
            raise ValueError(f"{self.name}: the command {command!r} cannot be read: {error}") from None
        unknown, lacking = used - set(values), set(files) - used
        if unknown or lacking:
            wrong = f"has no {{{sorted(lacking)[0]}}}" if lacking else f"has an unknown {{{sorted(unknown)[0]}}}"
            known = ", ".join(f"{{{value}}}" for value in values)
            raise ValueError(
                f"{self.name}: the command {command!r} {wrong}; it may use {known}, and should use the first two"
            )
        return [word.format(**values) for word in words]

    def _run(self, command: str, source: Path, target: Path, bitrate: float) -> None:
        words = self._words(command, {"input": str(source), "output": str(target)}, bitrate)
        call = f"{self.name}: {shlex.join(words)}"
        try:
            done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{call} was stopped after {self.timeout:g} s") from None
        except OSError as error:
            raise RuntimeError(f"{call} cannot be run: {error}") from None
        output = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-LINES_OF_ERROR:]
        if done.returncode:
            raise RuntimeError(f"{call} ended with {done.returncode}: {' / '.join(output) or 'it printed nothing'}")
        if not target.is_file() or target.stat().st_size == 0:
            raise RuntimeError(f"{call} wrote nothing: {' / '.join(output) or 'it printed nothing'}")

    def _write(self, path: Path, audio: Tensor) -> None:
        samples = (audio * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1).to(torch.int16).T.contiguous().numpy()
        form = RAW if self.audio == "s16le" else {"subtype": "PCM_16"}
        soundfile.write(path, samples, self.sample_rate, **form)

    def _read(self, path: Path, channels: int) -> tuple[Tensor, int]:
        known = {"samplerate": self.sample_rate, "channels": channels, **RAW} if self.audio == "s16le" else {}
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True, **known)
        except soundfile.SoundFileError as error:
            raise RuntimeError(f"{self.name} decoded to no audio: {error}") from error
        if samples.shape[1] != channels:
            raise RuntimeError(f"{self.name} was given {counted(channels, 'channel')} and decoded {samples.shape[1]}")
        return torch.from_numpy(samples.T.copy()), rate


def read_template(file: str) -> dict[str, Any]:
    """The arguments of a ``CommandBaseline`` from a YAML: a path, or the name of one that comes along ("evs").

    Raises:
        ValueError: there is no such file, or it holds no arguments.
    """
    path = Path(file) if Path(file).suffix in (".yaml", ".yml") else TEMPLATES / f"{file}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(template.stem for template in TEMPLATES.glob("*.yaml")))
        raise ValueError(f"no command template {file!r}; there are: {known} (or give a path to a .yaml file)")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} should hold the arguments of CommandBaseline: name, encode, decode, …")
    return content
