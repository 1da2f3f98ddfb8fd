"""A listening test as files: the page, its sounds under anonymous ids, and the key."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.listening.design import MOST, SYSTEM, Condition, ListeningTest, Page, make_page, spread
from codeclab.benchmarks.listening.page import render
from codeclab.benchmarks.listening.ratings import FOLDER
from codeclab.benchmarks.listening.server import PAGES
from codeclab.benchmarks.listening.sound import script, wav
from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.listen.choose_clips import Chosen
from codeclab.experiments.listen.request import ListeningRequest
from codeclab.experiments.listen.stimuli import Stimuli


def write_test(
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
