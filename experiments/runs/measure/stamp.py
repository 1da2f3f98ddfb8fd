"""What an evaluation's figures depend on, stored beside them, so that none are measured twice and none are stale."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeclab.codecs.io.files import write_atomically

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

    @property
    def digest(self) -> str:
        """Eight characters that differ if anything differs, for the name of a folder."""
        named = {"codec": self.of} if isinstance(self.of, str) else self.of
        parts: dict[str, Any] = {"of": named, "metrics": self.metrics, "bitrates": self.bitrates, "folder": self.folder}
        parts |= {"sample_rate": self.sample_rate, "channels": self.channels, "clips": self.clips}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]

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
        }
        write_atomically(folder / FILE, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Stamp | None":
        """The stamp of a folder's figures; None if they are incomplete, or of another version of the schema."""
        if (folder / FILE).is_file():
            content = json.loads((folder / FILE).read_text(encoding="utf-8"))
            known = (content.get("format"), content.get("version")) == (FORMAT, VERSION)
            return cls._of_content(content, content["of"]) if known else None
        if (folder / FORMER_FILE).is_file():
            content = json.loads((folder / FORMER_FILE).read_text(encoding="utf-8"))
            of = content.get("codec") or content["of"]
            return cls._of_content(content, of.get("codec", of) if isinstance(of, dict) else of)
        return None

    @classmethod
    def _of_content(cls, content: Mapping[str, Any], of: str | Mapping[str, Any]) -> "Stamp":
        """A stamp from a file's content, whose later fields may be missing."""
        return cls(
            of=of,
            metrics=content["metrics"],
            bitrates=content["bitrates"],
            folder=content["folder"],
            sample_rate=content["sample_rate"],
            columns=content.get("columns", []),
            channels=content.get("channels"),
            clips=content.get("clips"),
            language_model=content.get("language_model"),
        )

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the stamp before figures are measured again."""
        for name in (FILE, FORMER_FILE):
            (folder / name).unlink(missing_ok=True)
