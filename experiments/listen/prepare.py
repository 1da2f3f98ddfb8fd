"""A listening test of some systems: chosen, decoded, matched in loudness, shuffled, and written as files."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.listening.anchors import LOW, MID
from codeclab.benchmarks.listening.design import MOST, SYSTEM, Condition, ListeningTest, Page, make_page, spread
from codeclab.benchmarks.listening.page import render, script, wav
from codeclab.benchmarks.listening.ratings import FOLDER
from codeclab.benchmarks.listening.server import PAGES
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.wording import counted, duration
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.listen.choose_clips import Chosen, available_clips, choose_clips
from codeclab.experiments.listen.stimuli import Stimuli, make_conditions, make_stimuli
from codeclab.experiments.listen.systems import read_subjects


@dataclass(frozen=True)
class ListeningRequest:
    """The settings of a listening test.

    Attributes:
        runs: paths of runs, a table's folder, or names that ``Codec.from_pretrained`` takes.
        baselines: baselines, each a name and ``ARGUMENT=VALUE`` words.
        data: folder of audio; None is the one that was measured on.
        clips: number of clips of each domain.
        seconds: duration of a clip, 1 to 30 seconds.
        split: part of the data; None is test, or all where nothing was trained on it.
        bitrates: bitrates, kbps; None is all.
        mid_anchor: whether there is an anchor of 7 kHz.
        low_anchor: whether there is an anchor of 3.5 kHz.
        lowest: lowest rating, 0 or 1.
        clips_per_listener: number of clips that each listener rates; None is all.
        lufs: loudness of all stimuli, -60 to 0 LUFS.
        listen: shortest time for which each stimulus must be heard, seconds.
        seed: seed of the clips and the ids.
        title: title of the test.
        device: device of codecs, ``cpu`` or ``cuda``; None is ``cuda`` where there is one.
    """

    runs: Sequence[str]
    baselines: Sequence[Sequence[str]] = ()
    data: str | None = None
    clips: int = 4
    seconds: float = 5.0
    split: str | None = None
    bitrates: Sequence[float] | None = None
    mid_anchor: bool = False
    low_anchor: bool = True
    lowest: int = 0
    clips_per_listener: int | None = None
    lufs: float = -23.0
    listen: float = 1.0
    seed: int = 0
    title: str = "Listening test"
    device: str | None = None

    @property
    def cutoffs(self) -> list[int]:
        """Cutoffs of the anchors, Hz."""
        return [LOW] * self.low_anchor + [MID] * self.mid_anchor

    def check(self) -> None:
        """Refuse settings that make no test.

        Raises:
            RecipeError: a number is out of range; the message says what it should be.
        """
        if self.clips < 1 or (self.clips_per_listener is not None and self.clips_per_listener < 1):
            raise RecipeError("--clips and --clips-per-listener should be 1 or more")
        if not 1 <= self.seconds <= 30:
            raise RecipeError(
                f"--seconds should be from 1 to 30, not {self.seconds:g}: listeners compare short excerpts"
            )
        if not 0 < self.listen <= self.seconds:
            raise RecipeError(f"--listen should be above 0 and at most --seconds, not {self.listen:g}")
        if not -60 <= self.lufs <= 0:
            raise RecipeError(f"--lufs should be from -60 to 0, not {self.lufs:g}")


def prepare_test(request: ListeningRequest, folder: Path) -> list[str]:
    """Make a test.

    Args:
        request: settings of the test.
        folder: folder to write to, completely or not at all.

    Returns:
        messages for the user.

    Raises:
        RecipeError: it cannot be made; the message says why and what would work.
    """
    request.check()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"{folder} exists already, and its ratings would not fit another test; give another -o DIR")
    subjects, messages = read_subjects(request.runs, request.baselines, request.bitrates)
    chosen = choose_clips(
        available_clips(subjects, request.data, request.seconds, request.split), request.clips, request.seed
    )
    messages += chosen.messages
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not by tempfile, whose folders are the user's alone: listeners get this one, with the mode that the umask says.
    building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    building.mkdir()
    try:
        conditions = make_conditions(subjects, request.cutoffs, folder)
        pool = building / "pool"
        pool.mkdir()
        practice = [] if any(clip is chosen.practice for clip in chosen.clips) else [chosen.practice]
        stimuli = make_stimuli(pool, [*chosen.clips, *practice], subjects, request.cutoffs, request.device)
        test, remarks = _write(building, conditions, chosen, stimuli, request)
        shutil.rmtree(pool)
        if folder.exists():
            folder.rmdir()
        os.replace(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return [*messages, *remarks, _describe(test)]


def _write(
    folder: Path, conditions: Sequence[Condition], chosen: Chosen, stimuli: Stimuli, request: ListeningRequest
) -> tuple[ListeningTest, list[str]]:
    """Write the page, the sound under anonymous ids, and the key; gives the test and messages for the user."""
    rng = Random(f"pages:{request.seed}")
    pages = [page for clip in chosen.clips for page in _pages(clip, conditions, rng)]
    practice = _pages(chosen.practice, conditions, rng)[0]
    level, tightest = stimuli.level(request.lufs)
    test = ListeningTest(
        title=request.title,
        conditions=conditions,
        practice=practice,
        pages=pages,
        clips_per_listener=request.clips_per_listener,
        listen=request.listen,
        lufs=level,
        lowest=request.lowest,
        sample_rate=stimuli.sample_rate,
        digest=_write_sound(folder / PAGES / "audio", [*pages, practice], stimuli, level),
    )
    write_atomically(folder / PAGES / "index.html", render(test))
    (folder / FOLDER).mkdir()
    test.save(folder)
    messages = [f"{conditions[index].name} is silent on {clip}." for clip, index in stimuli.silent()]
    if tightest is not None:
        clip, index = tightest
        messages.append(
            f"Everything is at {level:.1f} LUFS, not {request.lufs:g}: any louder, {conditions[index].name} would clip "
            f"on {clip}."
        )
    return test, messages + _crowded(conditions)


def _split(conditions: Sequence[Condition]) -> tuple[list[int], list[int]]:
    """Positions of the systems, and of the stimuli that are on every page."""
    systems = [index for index, condition in enumerate(conditions) if condition.kind == SYSTEM]
    return systems, [index for index in range(len(conditions)) if index not in systems]


def _pages(clip: Clip, conditions: Sequence[Condition], rng: Random) -> list[Page]:
    systems, others = _split(conditions)
    groups = spread(systems, len(others), rng)
    return [make_page(clip.name, clip.domain, clip.seconds, [*others, *group], rng) for group in groups]


def _write_sound(folder: Path, pages: Sequence[Page], stimuli: Stimuli, level: float) -> str:
    """Write every stimulus; returns a hash of them all."""
    files = {name: (page.clip, index) for page in pages for name, index in page.stimuli.items()}
    files |= {page.reference: (page.clip, 0) for page in pages}
    digest = hashlib.sha256()
    # In the order of their ids, so that dates of files tell nothing either.
    for name, (clip, index) in sorted(files.items()):
        content = script(name, wav(stimuli.at(clip, index, level), stimuli.sample_rate))
        digest.update(content.encode())
        write_atomically(folder / f"{name}.js", content)
    return digest.hexdigest()[:32]


def _crowded(conditions: Sequence[Condition]) -> list[str]:
    systems, others = _split(conditions)
    room = MOST - len(others)
    if len(systems) <= room:
        return []
    return [
        f"{len(systems)} systems do not fit on a page of {MOST} stimuli beside the reference and anchors, so every "
        f"clip has {-(-len(systems) // room)} pages, each with its own reference and anchors. --bitrates selects fewer."
    ]


def _describe(test: ListeningTest) -> str:
    """A line on the time that a listener needs."""
    clips = {page.clip: page.domain for page in test.pages}
    share = min(1.0, (test.clips_per_listener or len(clips)) / len(clips))
    seconds = share * sum(page.seconds * (len(page.stimuli) + 1) for page in test.pages)
    domains = ", ".join(f"{list(clips.values()).count(domain)} of {domain}" for domain in sorted(set(clips.values())))
    return (
        f"Listening test {test.id}: {counted(len(clips), 'clip')} ({domains}), "
        f"{counted(len(test.conditions), 'condition')}, "
        f"{counted(round(share * len(test.pages)), 'page')} a listener; to hear every version twice takes "
        f"about {duration(2 * seconds)}."
    )
