"""Where evaluations are kept: what is measured later is added, and nothing that was measured is overwritten."""

import hashlib
import json
from pathlib import Path
from typing import Any

from codeclab.benchmarks.evaluate.adding import BASIS, added
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.codecs.io.locks import Lock
from codeclab.experiments.data.module import AudioData


def basis(of: Any, data: AudioData) -> dict[str, Any]:
    """What must be the same in evaluations that are added.

    Args:
        of: what was measured: a codec's identity, or the mapping that makes a baseline.
        data: what it was measured on.
    """
    return {
        "of": of,
        "folder": None if data.folder is None else str(Path(data.folder).expanduser().absolute()),
        "sample_rate": data.sample_rate,
        "channels": data.channels,
        "clip_seconds": data.clip_seconds,
    }


def keep(found: Evaluation, folder: Path) -> tuple[Evaluation, str]:
    """Keep an evaluation; one of the same codec on the same audio that is there already is added to.

    One of something else is moved aside, under a name made of what it is of. Two commands at once wait for each other.

    Args:
        found: what was measured, with its basis.
        folder: where.

    Returns:
        the whole that is kept, and a line on what became of what was there; empty where nothing was.
    """
    with Lock(folder.with_name(f".{folder.name}.lock")) as lock:
        lock.acquire(wait=True)
        said = ""
        stored = _stored(folder)
        if stored is not None and stored.info.get(BASIS) != found.info.get(BASIS):
            aside = _aside(folder, stored.info.get(BASIS))
            folder.rename(aside)
            said, stored = f"what was there is of another codec or other audio, and is now in {aside}", None
        before = _aside(folder, found.info.get(BASIS))
        if stored is None and _stored(before) is not None:
            before.rename(folder)
            stored = _stored(folder)
        if stored is not None:
            said = "added to what was measured before" + (f"; {said}" if said else "")
            found = added(stored, found)
        found.save(folder)
        return found, said


def _stored(folder: Path) -> Evaluation | None:
    return Evaluation.load(folder) if (folder / "evaluation.json").is_file() else None


def _aside(folder: Path, of: Any) -> Path:
    digest = hashlib.sha256(json.dumps(of, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return folder.with_name(f"{folder.name}-{digest}")
