"""The design of a listening test: conditions, pages, and the key of its files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from codeclab.codecs.io.files import write_atomically

MOST = 12
"""Stimuli on a page, hidden reference and anchors among them: BS.1534's limit."""

REFERENCE, LOW_ANCHOR, MID_ANCHOR, SYSTEM = "reference", "low anchor", "mid anchor", "system"
FORMAT = "codeclab mushra key"
VERSION = 1
KEY = "key.json"


@dataclass(frozen=True)
class Condition:
    """One of the conditions that are compared.

    Args:
        name: printed name in the results.
        kind: role in the test: ``REFERENCE``, ``LOW_ANCHOR``, ``MID_ANCHOR`` or ``SYSTEM``.
        bitrate: bitrate of a system really used, in kbps; None of the others.
        run: folder of the run behind a system, relative to the test's; None where there is none.
        of: the system: a codec's identity, or a baseline with its arguments.
    """

    name: str
    kind: str = SYSTEM
    bitrate: float | None = None
    run: str | None = None
    of: Any = None


@dataclass(frozen=True)
class Page:
    """A trial: stimuli of one clip that are rated beside each other.

    Args:
        id: anonymous name of the trial.
        clip: name of the clip.
        domain: the kind of sound.
        seconds: duration of the clip.
        reference: id of the reference that is named as such.
        stimuli: position in the test's conditions, by the stimulus's id.
    """

    id: str
    clip: str
    domain: str
    seconds: float
    reference: str
    stimuli: Mapping[str, int]


@dataclass(frozen=True)
class ListeningTest:
    """A whole test: everything but the sound and the ratings.

    Args:
        title: title that the page and the results print.
        conditions: the reference first, then anchors, then systems.
        practice: the page for training, whose ratings are not stored.
        pages: pages that are rated.
        clips_per_listener: number of clips each listener is given, balanced over domains; None is all.
        listen: duration that each stimulus must at least have been heard, in seconds.
        lufs: loudness of every stimulus (ITU-R BS.1770).
        sample_rate: sample rate in Hz.
        digest: digest of the sound; with it, tests of one ``id`` sound the same.
        lowest: lowest rating: 0 (BS.1534, DAC) or 1 (EnCodec); the highest is 100.
    """

    title: str
    conditions: Sequence[Condition]
    practice: Page
    pages: Sequence[Page]
    clips_per_listener: int | None = None
    listen: float = 1.0
    lufs: float = -23.0
    sample_rate: int = 24000
    digest: str = ""
    lowest: int = 0

    @cached_property
    def id(self) -> str:
        """A name made of the whole design."""
        content = asdict(self)
        if self.lowest == 0:
            del content["lowest"]  # tests that were made before there was a choice keep their ids
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def save(self, folder: Path) -> None:
        """Write the key, which only the server and the analysis read.

        Args:
            folder: folder of the test.
        """
        content = {"format": FORMAT, "version": VERSION, "id": self.id, **asdict(self)}
        write_atomically(folder / KEY, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "ListeningTest":
        """Read the key of a test.

        Args:
            folder: folder of the test.

        Raises:
            ValueError: there is none, or it is not of this version, or it was changed.
        """
        path = folder / KEY
        if not path.is_file():
            raise ValueError(f"{folder} holds no listening test; `codeclab mushra prepare` makes one")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if (content.pop("format"), content.pop("version")) != (FORMAT, VERSION):
                raise ValueError(f"it is not a {FORMAT!r} file of version {VERSION}")
            name = content.pop("id")
            content["conditions"] = [Condition(**condition) for condition in content["conditions"]]
            content["practice"] = Page(**content["practice"])
            content["pages"] = [Page(**page) for page in content["pages"]]
            test = cls(**content)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        if test.id != name:
            raise ValueError(f"{path} was changed since the test was prepared: ratings would not fit it")
        return test


def spread(systems: Sequence[int], others: int, rng: Random) -> list[list[int]]:
    """Distribute the systems of a clip at random over as few pages as possible, about equally many on each.

    Every page has the hidden reference and the anchors, too, so that it can be judged alone (BS.1534).

    Args:
        systems: positions of the conditions.
        others: number of other stimuli of a page.
        rng: random generator of the groups; as it draws for each clip, every pair is together for some.
    """
    pages = max(1, -(-len(systems) // (MOST - others)))
    shuffled = rng.sample(list(systems), len(systems))
    return [sorted(shuffled[start::pages]) for start in range(pages)]


def make_page(clip: str, domain: str, seconds: float, conditions: Sequence[int], rng: Random) -> Page:
    """A page with anonymous ids.

    Args:
        clip: name of the clip.
        domain: the kind of sound.
        seconds: duration of the clip.
        conditions: positions of the conditions that are rated on it.
        rng: random generator of the ids.
    """
    page, reference, *ids = (f"{rng.getrandbits(48):012x}" for _ in range(len(conditions) + 2))
    # In the order of their ids, which is as good as none.
    return Page(page, clip, domain, seconds, reference, dict(sorted(zip(ids, conditions, strict=True))))
