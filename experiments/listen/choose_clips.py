"""Chooses the clips that a listening test plays."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.codecs.codec import Codec
from codeclab.codecs.loudness import QUIETEST_LUFS, measure_lufs
from codeclab.codecs.wording import by_number, counted
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.clips import Clips
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.listen.sources import RowSource
from codeclab.experiments.listen.systems import System
from codeclab.experiments.runs.measure.evaluate import FULL_BAND, usual_split
from codeclab.experiments.runs.training_data import run_of

SLACK = 0.01
"""Seconds by which a recording may be shorter and still count as long enough."""


@dataclass(frozen=True)
class Chosen:
    """The clips of a test.

    Attributes:
        clips: clips that are rated.
        practice: clip of the page for practice.
        messages: messages for the user.
    """

    clips: list[Clip]
    practice: Clip
    messages: list[str]


def available_clips(systems: Sequence[System], data: str | None, seconds: float, split: str | None = None) -> Clips:
    """All clips from which a test may choose.

    Args:
        systems: systems to compare.
        data: folder of audio; None is what the runs were measured on.
        seconds: duration of a clip, seconds.
        split: part of the data; None is the default, of ``split_of_sources``.

    Raises:
        RecipeError: the runs have different test clips, and no folder is given.
    """
    codecs = [(system, Codec.from_pretrained(system.codec)) for system in systems if system.codec is not None]
    sources = [system.source for system in systems if system.source is not None]
    rates = [stamp.sample_rate for source in sources if (stamp := source.stamp)]
    rates += [codec.sample_rate for system, codec in codecs if system.source is None or system.source.stamp is None]
    rates = rates or [FULL_BAND]
    channels = max((codec.channels for _, codec in codecs), default=1)
    part = split or split_of_sources(sources, data)
    available: list[tuple[System, Clips]] = []
    for system, codec in codecs:
        source = system.source
        if source is not None and (source.folder.config.is_file() or source.stamp):
            own = source.data(codec, data, max(rates), beside=sources)
            own.max_test_clips, own.clip_seconds, own.channels = None, seconds, channels
            available.append((system, own.clips(part)))
    if not available:
        folder = data or next((source.audio for source in sources if source.audio), None)
        alone = AudioData(
            folder, sample_rate=max(rates), channels=channels, batch_size=1, workers=0, clip_seconds=seconds
        )
        return alone.clips(part)
    (first, clips), *others = available
    for system, other in others:
        if data is None and not are_same(other, clips):
            raise RecipeError(
                f"{first.name} and {system.name} were measured on different clips; --data FOLDER plays the same to all"
            )
    return clips


def split_of_sources(sources: Sequence[RowSource], data: str | None) -> str:
    """The default split for listening: test, or all of data without a given one that no run was trained on."""
    folders = [(source.folder.path, data or source.audio) for source in sources]
    own = [path for path, folder in folders if run_of(path) and folder is None]
    splits = (usual_split([path], AudioData(folder, workers=0)) for path, folder in folders)
    return "test" if own or "test" in splits else "all"


def are_same(one: Clips, other: Clips) -> bool:
    """Whether two runs were measured on the same recordings, of the same lengths."""
    first, second = ({(clip.name, clip.seconds) for clip in clips.recordings} for clips in (one, other))
    return first == second


def choose_clips(clips: Clips, per_domain: int, seed: int) -> Chosen:
    """Draw clips of each domain, and one more for practice.

    Recordings shorter than a clip should be are taken last, silent ones never.

    Args:
        clips: clips to choose from.
        per_domain: number of clips of each domain.
        seed: seed of the draw.

    Raises:
        RecipeError: nothing is left.
    """
    rng = Random(f"clips:{seed}")
    chosen: list[Clip] = []
    spare: list[Clip] = []
    messages = []
    for domain in sorted({recording.domain for recording in clips.recordings}):
        indices = [index for index, recording in enumerate(clips.recordings) if recording.domain == domain]
        indices.sort(key=lambda index: clips.recordings[index].name)
        rng.shuffle(indices)
        indices.sort(key=lambda index: clips.recordings[index].seconds < clips.seconds - SLACK)
        drawn = (clips[index] for index in indices)
        audible = (clip for clip in drawn if measure_lufs(clip.audio, clip.sample_rate) >= QUIETEST_LUFS)
        taken = list(islice(audible, per_domain))
        short = sum(clip.seconds < clips.seconds - SLACK for clip in taken)
        if len(taken) < per_domain:
            messages.append(f"{domain} has {counted(len(taken), 'clip')} that can be heard, fewer than {per_domain}.")
        if short:
            are = by_number(short, "is", "are")
            messages.append(f"{counted(short, 'clip')} of {domain} {are} shorter than {clips.seconds:g} s.")
        chosen += taken
        spare += islice(audible, 1)
    if not chosen:
        raise RecipeError("there is no clip that can be heard; --data FOLDER plays other audio")
    if not spare:
        messages.append(f"No clip is left for practice: {chosen[0].name} is also rated.")
    return Chosen(chosen, spare[rng.randrange(len(spare))] if spare else chosen[0], messages)
