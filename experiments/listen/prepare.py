"""A listening test of some systems: chosen, decoded, matched in loudness, shuffled, written."""

import os
import shutil
import uuid
from pathlib import Path

from codeclab.benchmarks.listening.design import ListeningTest
from codeclab.codecs.wording import counted, duration
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.listen.choose_clips import available_clips, choose_clips
from codeclab.experiments.listen.request import ListeningRequest
from codeclab.experiments.listen.stimuli import make_conditions, make_stimuli
from codeclab.experiments.listen.systems import read_systems
from codeclab.experiments.listen.write import write_test


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
    systems, messages = read_systems(request.runs, request.baselines, request.bitrates)
    chosen = choose_clips(
        available_clips(systems, request.data, request.seconds, request.split), request.clips, request.seed
    )
    messages += chosen.messages
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not by tempfile, whose folders are the user's alone: listeners get this one, with the mode that the umask says.
    building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    building.mkdir()
    try:
        conditions = make_conditions(systems, request.cutoffs, folder)
        pool = building / "pool"
        pool.mkdir()
        practice = [] if any(clip is chosen.practice for clip in chosen.clips) else [chosen.practice]
        stimuli = make_stimuli(pool, [*chosen.clips, *practice], systems, request.cutoffs, request.device)
        test, remarks = write_test(building, conditions, chosen, stimuli, request)
        shutil.rmtree(pool)
        if folder.exists():
            folder.rmdir()
        os.replace(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return [*messages, *remarks, _describe(test)]


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
