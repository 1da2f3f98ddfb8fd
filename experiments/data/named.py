"""Corpora that a word names: the recordings in the package, and the sounds made in memory."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from codeclab.experiments.data.corpus import scan
from codeclab.experiments.data.recording import Corpus
from codeclab.experiments.data.synthetic import make_synthetic_corpus

RECORDINGS = "recordings"
"""The word of ``--data`` for the recordings that ship with the package."""
SYNTHETIC = "synthetic"
"""The word of ``--data`` for the synthetic corpus, which is also its default."""
RECORDINGS_FOLDER = Path(__file__).parent / RECORDINGS
"""Read speech at 16 kHz, 7.4 minutes; its ``ATTRIBUTION.md`` says whose voices these are and what was cut."""
TITLES = {RECORDINGS: "the recordings that ship with codeclab", SYNTHETIC: "the built-in synthetic corpus"}
logger = logging.getLogger(__name__)


def is_named(folder: str | None, name: str) -> bool:
    """Whether ``folder`` is the word and not a path: an existing path takes precedence."""
    return folder == name and not Path(name).exists()


def without_synthetic(folder: str | None) -> str | None:
    """The folder as stored in settings: None for the word of the synthetic corpus."""
    return None if is_named(folder, SYNTHETIC) else folder


def corpus_title(folder: str | None) -> str:
    """The name of a corpus in notes and tables: the last part of its path, or the meaning of the word."""
    named = next((name for name in TITLES if is_named(folder or SYNTHETIC, name)), None)
    return TITLES[named] if named else Path(folder or SYNTHETIC).name


def open_corpus(
    folder: str | None, seed: int = 0, known: Mapping[str, str] | None = None, floor: bool = True
) -> Corpus:
    """The corpus of a path or a word.

    Args:
        folder: a folder of audio, a CSV manifest of one, "recordings" for those that ship with the package, or
            "synthetic" (or None) for the one made in memory. A path of such a name goes first, with a note.
        seed: seed of the split of files that have none.
        known: splits that files had before, by name, which they keep.
        floor: whether domains have their least numbers of test files; see ``assign_splits``.

    Raises:
        DataError: it does not exist, is no CSV manifest, or holds no usable audio.
    """
    if folder is None or is_named(folder, SYNTHETIC):
        return make_synthetic_corpus()
    if is_named(folder, RECORDINGS):
        return replace(scan(RECORDINGS_FOLDER, seed, known, floor), name=TITLES[RECORDINGS])
    if folder in TITLES:
        logger.warning(f"{Path(folder).resolve()} exists, and is read instead of {TITLES[folder]}")
    return scan(folder, seed, known, floor)
