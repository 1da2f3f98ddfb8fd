"""The systems of a listening test: codecs and baselines given by runs, tables or names, at their bitrates."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeclab.benchmarks.baselines import Baseline, make_baseline
from codeclab.benchmarks.baselines.measure import requested_rates
from codeclab.benchmarks.baselines.registry import describe_baseline, named_codec
from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.evaluate import decoder_output, encoder_input, evaluating, offered
from codeclab.benchmarks.evaluate.judge import match_channels
from codeclab.benchmarks.evaluate.statistics import REQUESTED_KBPS
from codeclab.codecs.bitrate import is_among, listed_rates
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.folder import identity
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.listen.sources import RowSource, has_figures, read_sources
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.measure.evaluate import read_baseline
from codeclab.experiments.runs.training_data import label_of, run_of


@dataclass(frozen=True)
class System:
    """Something that codes clips.

    Attributes:
        name: printed name.
        rates: number of codebooks by true bitrate, kbps; for a baseline, the requested bitrate, kbps.
        codec: argument of ``Codec.from_pretrained``; None for a baseline.
        baseline: argument of ``make_baseline``; None for a codec.
        source: source of its run or figures; None if it was only named.
    """

    name: str
    rates: Mapping[float, float]
    codec: Path | str | None = None
    baseline: Mapping[str, Any] | None = None
    source: RowSource | None = None

    def decoded(self, clips: Sequence[Clip], device: torch.device) -> Iterator[tuple[int, float, Tensor]]:
        """Position of the clip, true kbps and audio ``[C, N]`` at the clip's rate, for every clip and bitrate.

        Args:
            clips: clips to code.
            device: device that a codec runs on.
        """
        if self.codec is None:
            baseline = make_baseline(self.baseline or {})
            for index, clip in enumerate(clips):
                reference, given = match_channels(clip.audio, baseline.channels or clip.audio.shape[0], clip.name)
                for kbps, requested in self.rates.items():
                    audio, _ = baseline.transcode(given, clip.sample_rate, requested)
                    is_mono = reference.shape[0] < audio.shape[0]
                    yield index, kbps, audio.mean(dim=0, keepdim=True) if is_mono else audio
            return
        codec = Codec.from_pretrained(self.codec)
        with evaluating(codec, device) as home:
            for index, clip in enumerate(clips):
                _, given = encoder_input(codec, clip, home)
                for kbps, count in self.rates.items():
                    yield index, kbps, decoder_output(codec, codec.encode(given, n_codebooks=int(count)), clip)


def system_of(source: RowSource) -> System:
    """The system of a row, at the bitrates at which it was measured.

    Raises:
        ValueError: it cannot be heard here; the message says why.
    """
    info = source.evaluation.info
    codec = next((p for p in (source.folder.codec, source.folder.path) if (p / "config.json").is_file()), None)
    if codec is not None:
        per_file = source.evaluation.per_file
        rates = zip(per_file["bitrate_kbps"], per_file["n_codebooks"], strict=True)
        return System(source.row, {float(kbps): int(n) for kbps, n in sorted(set(rates))}, codec, source=source)
    spec = info.get("baseline")
    missing = make_baseline(spec).available() if spec else "its codec is not stored beside its figures"
    if missing:
        raise ValueError(f"{source.row} cannot be heard: {missing}.")
    spent = dict(zip(info["bitrates_kbps"], info[REQUESTED_KBPS], strict=True))
    return System(source.row, spent, baseline=spec, source=source)


def systems_of(sources: Iterable[RowSource]) -> tuple[list[System], list[tuple[RowSource, str]]]:
    """The systems of rows; and the rows whose system cannot be heard here, each with the reason."""
    systems: list[System] = []
    unheard: list[tuple[RowSource, str]] = []
    for source in sources:
        try:
            systems.append(system_of(source))
        except ValueError as error:
            unheard.append((source, str(error)))
    return systems, unheard


def read_systems(
    words: Sequence[str], baselines: Sequence[Sequence[str]], bitrates: Sequence[float] | None
) -> tuple[list[System], list[str]]:
    """The systems of a test.

    Args:
        words: paths of runs, a table's folder, names that ``Codec.from_pretrained`` takes, ``transformers:NAME``, or
            ``FILE.py``.
        baselines: baselines, each a name and ``ARGUMENT=VALUE`` words.
        bitrates: bitrates, kbps; None is all that were measured, or are offered.

    Returns:
        the systems, each with those of its bitrates that are wanted, and messages for the user.

    Raises:
        RecipeError: a system is not available, or has none of the bitrates.
    """
    figures = [Path(word) for word in words if has_figures(Path(word))]
    systems, unheard = systems_of(read_sources(figures, repeated=True).row_sources if figures else [])
    messages = [reason for _, reason in unheard]
    systems += [_named(word, [source for source, _ in unheard]) for word in words if Path(word) not in figures]
    systems += [_of_baseline(partial(read_baseline, list(spec)), bitrates) for spec in baselines]
    if not systems:
        raise RecipeError("nothing here can be heard: " + " ".join(messages))
    chosen = systems if bitrates is None else [_at(system, bitrates) for system in systems]
    seen: Counter[str] = Counter()
    named = []
    for system in chosen:
        seen[system.name] += 1
        again = seen[system.name]
        named.append(system if again == 1 else replace(system, name=f"{system.name} ({again})"))
    return named, messages


def _named(word: str, unheard: Iterable[RowSource]) -> System:
    """A codec that was not measured, or whose figures lie elsewhere."""
    other = named_codec(word)
    if other is not None:
        return _of_baseline(partial(make_baseline, other), None)
    codec = Codec.from_pretrained(word)
    path = Path(word)
    rates = {kbps: float(count) for kbps, count in offered(codec, None).items()}
    if path.is_dir():
        name, run = label_of(path), run_of(path) or RunFolder(path)
        return System(name, rates, codec=word, source=RowSource(name, run, run.path / "evaluation"))
    known = identity(codec)
    source = next((source for source in unheard if source.evaluation.info.get("codec") == known), None)
    return System(word, rates, codec=word, source=source)


def _of_baseline(make: Callable[[], Baseline], bitrates: Sequence[float] | None) -> System:
    try:
        baseline = make()
        requested = requested_rates(baseline, bitrates)
    except RuntimeError as error:
        raise RecipeError(str(error)) from error
    return System(baseline.name, {rate: rate for rate in requested}, baseline=describe_baseline(baseline))


def _at(system: System, bitrates: Sequence[float]) -> System:
    # A baseline is asked for 6 kbps and spends 7.
    names = {kbps: (kbps, requested) if system.codec is None else (kbps,) for kbps, requested in system.rates.items()}
    near = {kbps: system.rates[kbps] for kbps, known in names.items() if any(is_among(one, bitrates) for one in known)}
    if not near:
        raise RecipeError(_none_of(system, bitrates))
    return replace(system, rates=near)


def _none_of(system: System, bitrates: Sequence[float]) -> str:
    """What to type if a system has none of the bitrates."""
    own = listed_rates(system.rates)
    if system.source is None or system.codec is None:
        return f"{system.name} has none of these bitrates; it has {own} kbps"
    said = f"{system.name} was measured at none of these bitrates, but at {own} kbps, which --bitrates takes"
    offered_too = [
        kbps for kbps in offered(Codec.from_pretrained(system.codec), None) if not is_among(kbps, system.rates)
    ]
    if not offered_too:
        return said
    run = system.source.folder.path
    if system.source.figures == run / "evaluation":
        wanted = [kbps for kbps in offered_too if is_among(kbps, bitrates)] or offered_too[:1]
        typed = " ".join(f"{kbps:.4g}" for kbps in wanted)
        how = f"`codeclab evaluate {run} --bitrates {typed}` measures {listed_rates(wanted)}"
    else:
        how = "add them to the table's `bitrates`, and repeat its command"
    return f"{said}. It also offers {listed_rates(offered_too)} kbps: {how}"
