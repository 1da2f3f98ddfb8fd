"""What an evaluation's figures depend on, stored beside them, so that none are measured twice and none are stale."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeclab.benchmarks.metrics.registry import METRICS, OWN
from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.config.own_code import imported_digest
from codeclab.experiments.runs.folder import digest

FILE = "measured_as.json"
FORMAT = "codeclab figures"
VERSION = 1
FORMER_FILE = "table.json"
"""What it was called, without a version, before a table's own record took the name."""


@dataclass(frozen=True)
class Stamp:
    """What figures depend on.

    Attributes:
        of: a codec's identity, or a baseline with its arguments.
        metrics: names of the metrics.
        bitrates: bitrates that were measured, in kbps.
        folder: folder of the audio; None is the synthetic corpus.
        sample_rate: sampling rate in Hz of the originals.
        columns: names of a table's columns; empty where they are computed when the table is printed.
        channels: number of channels of the originals; None where they are the codec's.
        clips: settings that choose the clips; None where they are the run's.
        language_model: identity of the one whose entropy-coded rate is a column; None without.
        code: digest of the files of the user's own metrics, as ``code_of`` gives it; None without.
        audio: digest of the clips, as ``content_digest`` gives it.
    """

    of: str | Mapping[str, Any]
    metrics: list[str]
    bitrates: list[float]
    folder: str | None
    sample_rate: int
    columns: list[str]
    channels: int | None = None
    clips: Mapping[str, Any] | None = None
    language_model: str | None = None
    code: str | None = None
    audio: str | None = None

    @property
    def digest(self) -> str:
        """Eight characters that differ if anything differs, for the name of a folder."""
        named = {"codec": self.of} if isinstance(self.of, str) else self.of
        parts: dict[str, Any] = {"of": named, "metrics": self.metrics, "bitrates": self.bitrates, "folder": self.folder}
        parts |= {"sample_rate": self.sample_rate, "channels": self.channels, "clips": self.clips}
        if self.code is not None:
            parts["code"] = self.code
        if self.audio is not None:
            parts["audio"] = self.audio
        return digest(parts)

    def write(self, folder: Path) -> None:
        """Store it in the folder of the figures, after them: it shows that they are complete."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "of": self.of,
            "metrics": self.metrics,
            "bitrates": self.bitrates,
            "folder": self.folder,
            "sample_rate": self.sample_rate,
            "columns": self.columns,
            "channels": self.channels,
            "clips": self.clips,
            "language_model": self.language_model,
            "code": self.code,
            "audio": self.audio,
        }
        write_atomically(folder / FILE, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Stamp | None":
        """The stamp of a folder's figures; None if they are incomplete, or of another version of the schema."""
        path = next((folder / name for name in (FILE, FORMER_FILE) if (folder / name).is_file()), None)
        if path is None:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        if path.name == FORMER_FILE:
            of = content.get("codec") or content["of"]
            of = of.get("codec", of) if isinstance(of, dict) else of
        elif (content.get("format"), content.get("version")) == (FORMAT, VERSION):
            of = content["of"]
        else:
            return None
        return cls(  # later fields may be missing
            of=of,
            metrics=content["metrics"],
            bitrates=content["bitrates"],
            folder=content["folder"],
            sample_rate=content["sample_rate"],
            columns=content.get("columns", []),
            channels=content.get("channels"),
            clips=content.get("clips"),
            language_model=content.get("language_model"),
            code=content.get("code"),
            audio=content.get("audio"),
        )

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the stamp before figures are measured again."""
        for name in (FILE, FORMER_FILE):
            (folder / name).unlink(missing_ok=True)


def modules_of(metrics: Iterable[str]) -> list[str]:
    """The modules of the user's own metrics among these names, sorted."""
    own = [METRICS[name] for name in metrics if name not in OWN and name in METRICS]
    paths = [path for metric in own for path in (metric.function, metric.of_set, metric.codes) if path]
    return sorted({path.partition(":")[0] for path in paths})


def code_of(metrics: Iterable[str]) -> str | None:
    """Eight characters that differ if the files of the user's own metrics do; None where all are codeclab's."""
    modules = modules_of(metrics)
    return digest({module: imported_digest(module) for module in modules}) if modules else None
