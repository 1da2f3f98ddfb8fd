"""Stores evaluations: later measurements are added, and none is overwritten."""

from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Any

from codeclab.benchmarks.evaluate.adding import BASIS, added
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.benchmarks.metrics.synonyms import named_as, one_of_each
from codeclab.codecs.io.locks import Lock
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.named import RECORDINGS
from codeclab.experiments.runs.corpus_record import content_digest
from codeclab.experiments.runs.folder import DIGITS, digest
from codeclab.experiments.runs.training_data import corpus_identity


def basis(of: Any, data: AudioData, split: str) -> dict[str, Any]:
    """What must be the same in evaluations that are added; ``of`` is a codec's identity, or what makes a baseline."""
    return {
        "of": of,
        "folder": corpus_identity(data.folder),
        "split": split,
        "sample_rate": data.sample_rate,
        "channels": data.channels,
        "clip_seconds": data.clip_seconds,
        "audio": content_digest(data.clips(split).recordings),
    }


def keep(evaluation: Evaluation, folder: Path) -> tuple[Evaluation, str]:
    """Store an evaluation; a stored one of the same codec on the same audio is extended.

    One of something else is moved aside, under a name made of what it is of. Two commands at once wait for each other.

    Args:
        evaluation: evaluation to store, with its basis.
        folder: folder to store it in.

    Returns:
        the whole stored evaluation, and a line on what happened to an earlier one; empty if there was none.
    """
    with Lock(folder.with_name(f".{folder.name}.lock")) as lock:
        lock.acquire(wait=True)
        remark = ""
        stored = _stored(folder)
        if stored is not None and not has_same_basis(stored, evaluation):
            aside = folder.with_name(f"{folder.name}-{digest(stored.info.get(BASIS))}")
            folder.rename(aside)
            remark = f"the earlier figures are of another codec, other audio or another split, and are now in {aside}"
            stored = None
        if stored is None and (before := _set_aside(folder, evaluation)) is not None:
            before.rename(folder)
            stored = _stored(folder)
        if stored is not None:
            known = one_of_each(stored.info["metrics"])
            named = {name: named_as(name, known) for name in evaluation.info["metrics"]}
            same = [said_of_same(name, there) for name, there in named.items() if there != name]
            remark = "; ".join(filter(None, ["added to what was measured before", remark, *same]))
            evaluation = added(replace(stored, info={**stored.info, BASIS: evaluation.info.get(BASIS)}), evaluation)
        evaluation.save(folder)
        return evaluation, remark


def said_of_same(name: str, same: str) -> str:
    """A note if a metric's column has the name of another metric that is the same."""
    return f"{METRICS[name].title} is {METRICS[same].title} by definition, both without the mean: one column"


def has_same_basis(stored: Evaluation, evaluation: Evaluation) -> bool:
    """Whether a stored evaluation is of the same codec on the same audio, and may be added to.

    One of an older version does not say its split: it is the same where all its clips are among the present ones. Nor
    does it say what the clips held.
    """
    before, now = stored.info.get(BASIS), evaluation.info.get(BASIS)
    if before is None or now is None:
        return bool(before == now)
    if "split" not in before and set(stored.per_file["name"]) <= set(evaluation.per_file["name"]):
        before = {**before, "split": now["split"], "folder": _identity_of_older(before["folder"])}
    if "audio" not in before:
        before = {**before, "audio": now.get("audio")}
    return bool(before == now)


def _identity_of_older(folder: str | None) -> str | None:
    """The value of an older version: an absolute path, even if a word was meant."""
    if folder is not None and Path(folder).name == RECORDINGS and not Path(folder).exists():
        return RECORDINGS
    return corpus_identity(folder)


def _stored(folder: Path) -> Evaluation | None:
    return Evaluation.load(folder) if (folder / "evaluation.json").is_file() else None


def _set_aside(folder: Path, evaluation: Evaluation) -> Path | None:
    """Path of the earlier evaluation, moved aside, that may be added to."""
    for path in sorted(folder.parent.glob(f"{escape(folder.name)}-{'[0-9a-f]' * DIGITS}")):
        stored = _stored(path)
        if stored is not None and has_same_basis(stored, evaluation):
            return path
    return None
