"""``codeclab encode``, ``decode`` and ``reconstruct``: audio files, or folders of them, through a codec."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import torch

from codeclab.benchmarks.evaluate.progress import progress_bar
from codeclab.codecs.codec import Codec
from codeclab.codecs.engines.names import EngineName
from codeclab.codecs.entropy.audio_files import CodedFile, decode_file, encode_file, reconstruct_file
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.ecdc_files import SUFFIX, decode_ecdc, encode_ecdc, published_name, released_language_model
from codeclab.codecs.wording import counted, duration
from codeclab.experiments.cli.options.code_files import make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.import_file import import_file
from codeclab.experiments.data.cores import usable_cores
from codeclab.experiments.data.formats import EXTENSIONS
from codeclab.experiments.runs.precision import has_fast_bf16

CODES = (".clc", SUFFIX)
"""Files of codes: ours, and those of the encodec package."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file: what was coded, or why not."""

    source: Path
    coded: CodedFile | None
    error: str = ""


def note_precision(command: str, precision: str, device: str) -> None:
    """Say on standard error that this processor emulates what was asked for."""
    if precision == "bf16" and device == "cpu" and not has_fast_bf16():
        print(f"codeclab {command}: this processor emulates bfloat16; --precision f32 is faster on it", file=sys.stderr)


def load_codec(name: str) -> Codec:
    """A codec by what the user calls it.

    Raises:
        RecipeError: there is none of that name; the message says what can be given.
    """
    try:
        return Codec.from_pretrained(name)
    except ValueError as error:
        raise RecipeError(f"--codec {name}: {error}") from error


def pairs(source: Path, target: Path, command: str, suffix: str) -> list[tuple[Path, Path]]:
    """Each file to be read and where what is made of it goes.

    Raises:
        RecipeError: there is nothing to read, or two files would go to one place.
    """
    if source.is_file():
        return [(source, target / f"{source.stem}{suffix}" if target.is_dir() else target)]
    if not source.is_dir():
        raise RecipeError(f"there is no file or folder {source}")
    if target.is_file():
        raise RecipeError(f"{source} is a folder and {target} a file; OUT should be a folder, too")
    wanted = set(CODES) if command == "decode" else EXTENSIONS
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in wanted and path.is_file())
    if not files:
        raise RecipeError(f"there are no files that end with {', '.join(sorted(wanted))} in {source}")
    path_pairs = [(path, target / path.relative_to(source).with_suffix(suffix)) for path in files]
    seen: dict[Path, Path] = {}
    for path, destination in path_pairs:
        if destination in seen:
            raise RecipeError(f"{path} and {seen[destination]} would both go to {destination}; rename one")
        seen[destination] = path
    return path_pairs


class Worker:
    """Codes files with one codec.

    Args:
        options: of the command.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        for file in options.imports:
            import_file(file)
        self.options = options
        self.codec = load_codec(options.codec).to(options.device).eval()
        if options.precision == "bf16":
            self.codec.to_bf16()
        if options.engine != "torch":
            self.codec.to_engine(cast(EngineName, options.engine))
        given = None if options.language_model is None else Path(options.language_model)
        released = given is not None and given.is_file()
        self.coders = Coders.beside(self.codec, options.codec, None if released else given)
        self.count = self.codec.choose_codebooks(options.bitrate)
        # A file of the encodec package codes .ecdc files alone.
        self.coder = self.coders.named("none" if released else options.entropy)
        self.model = released_language_model(given, self.codec) if given and released else self.coders.model
        self.name = published_name(options.codec, self.codec)

    def __call__(self, source: Path, target: Path) -> Outcome:
        """Code one file; a file that cannot be coded does not stop the others."""
        try:
            if SUFFIX in (source.suffix.lower(), target.suffix.lower()) and self.options.command != "reconstruct":
                return Outcome(source, self._ecdc(source, target))
            if self.options.command == "encode":
                if self.options.entropy != self.coder.name:
                    raise ValueError(f"{self.options.language_model} codes .ecdc files alone; fit one: codeclab fit-lm")
                return Outcome(source, encode_file(self.codec, source, target, self.count, self.coder))
            if self.options.command == "decode":
                return Outcome(source, decode_file(self.codec, source, target, self.coders.of_header))
            return Outcome(source, reconstruct_file(self.codec, source, target, self.count))
        except (ValueError, OSError) as error:
            return Outcome(source, None, str(error))

    def _ecdc(self, source: Path, target: Path) -> CodedFile:
        if self.options.command == "decode":
            return decode_ecdc(self.codec, source, target, self.model, self.name)
        if self.options.entropy not in ("none", "lm"):
            raise ValueError(f".ecdc files know --entropy none and lm, not {self.options.entropy}")
        if self.options.entropy == "lm" and self.model is None:
            raise ValueError("--entropy lm wants a --language-model, or one that codeclab fit-lm put beside the codec")
        model = self.model if self.options.entropy == "lm" else None
        return encode_ecdc(self.codec, source, target, self.count, model, self.name)


_worker: Worker | None = None


def _start_worker(options: argparse.Namespace) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = Worker(options)


def _perform(source: Path, target: Path) -> Outcome:
    assert _worker is not None
    return _worker(source, target)


def outcomes(options: argparse.Namespace, files: Sequence[tuple[Path, Path]], jobs: int) -> Iterator[Outcome]:
    """What becomes of each file, as it is done; several at a time where there are several jobs."""
    if jobs == 1:
        worker = Worker(options)
        for source, target in files:
            yield worker(source, target)
        return
    Worker(options)  # what the command has wrong is said here, once
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, (options,)) as pool:
        for done in as_completed([pool.submit(_perform, source, target) for source, target in files]):
            yield done.result()


def summary(results: Sequence[Outcome], spent: float) -> str:
    """A line: files, duration, kbps and times real time."""
    coded = [outcome.coded for outcome in results if outcome.coded is not None]
    seconds = sum(one.seconds for one in coded)
    kbps = sum(one.kbps * one.seconds for one in coded) / seconds if seconds else 0.0
    return f"{counted(len(coded), 'file')}, {duration(seconds)}, {kbps:.3g} kbps, {seconds / spent:.1f} times real time"


def run(command: str, argv: list[str]) -> int:
    """``codeclab encode|decode|reconstruct``; returns the exit status."""
    options = make_parser(command).parse_args(argv)
    suffix = f".{options.format.lstrip('.')}"
    note_precision(command, options.precision, options.device)
    try:
        files = pairs(Path(options.input), Path(options.output), command, suffix)
        if options.jobs is not None and options.jobs < 1:
            raise RecipeError(f"--jobs is {options.jobs}; it should be at least 1")
        jobs = min(options.jobs or usable_cores(), len(files))
        began, results = time.perf_counter(), []
        with progress_bar(command, len(files), len(files) > 1, "file") as step:
            for outcome in outcomes(options, files, jobs):
                results.append(outcome)
                step()
    except (ValueError, OSError) as error:
        print(f"codeclab {command}: {error}", file=sys.stderr)
        return 2
    for outcome in results:
        if outcome.coded is None:
            print(f"codeclab {command}: {outcome.error}", file=sys.stderr)
        for damage in outcome.coded.damage if outcome.coded else ():
            print(f"codeclab {command}: {outcome.source} is damaged, {damage}", file=sys.stderr)
    print(summary(results, time.perf_counter() - began))
    return int(any(outcome.coded is None for outcome in results))
