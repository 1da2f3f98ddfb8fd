"""Codes many files, several at a time in processes of their own."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.ecdc_files import SUFFIX
from codeclab.codecs.entropy.file_coder import CodingResult, CodingSettings, FileCoder

CODES = frozenset({".clc", SUFFIX})
"""Suffixes of files of codes: ours, and those of the ``encodec`` package."""


def file_pairs(source: Path, target: Path, suffixes: Collection[str], suffix: str) -> list[tuple[Path, Path]]:
    """Each file to read with the file to write.

    Args:
        source: path of a file, or of a folder whose files are looked for in its subfolders, too.
        target: path of the file to write, or of the folder for a folder's files, which keep their subfolders.
        suffixes: suffixes of the files to read in a folder, in lower case, with the dot.
        suffix: suffix of the files to write in a folder, with the dot.

    Raises:
        ValueError: there is nothing to read, two files would be written to one path, or a file that is to be read would
            be replaced.
    """
    if source.is_file():
        target = target / f"{source.stem}{suffix}" if target.is_dir() else target
        _check_replaced([source], [target])
        return [(source, target)]
    if not source.is_dir():
        missing = (
            f"{source} is neither a file nor a folder" if source.exists() else f"there is no file or folder {source}"
        )
        raise ValueError(missing)
    if target.is_file():
        raise ValueError(f"{source} is a folder and {target} a file; OUT should be a folder, too")
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    if not files:
        raise ValueError(f"there are no files that end with {', '.join(sorted(suffixes))} in {source}")
    sources: dict[Path, Path] = {}
    for path in files:
        destination = target / path.relative_to(source).with_suffix(suffix)
        if destination in sources:
            raise ValueError(f"{path} and {sources[destination]} would both go to {destination}; rename one")
        sources[destination] = path
    _check_replaced(sources.values(), sources)
    return [(path, destination) for destination, path in sources.items()]


def _check_replaced(sources: Collection[Path], targets: Collection[Path]) -> None:
    """Refuse to replace files that are to be read, by whatever path."""
    read = {_identity(source) for source in sources}
    for source, target in zip(sources, targets, strict=True):
        if target.exists() and _identity(target) in read:
            other = source.with_name(f"{source.stem}-coded{target.suffix}") if len(read) == 1 else "an empty folder"
            raise ValueError(
                f"the result of {source} would replace {target}, which is to be read; give another OUT, such as {other}"
            )


def _identity(path: Path) -> tuple[int, int]:
    """The file behind a path: the same through links, and in capitals where the disk ignores case."""
    status = path.stat()
    return status.st_dev, status.st_ino


def code_files(
    codec: Codec,
    settings: CodingSettings,
    pairs: Sequence[tuple[Path, Path]],
    jobs: int = 1,
    prepare: Callable[[], None] | None = None,
) -> Iterator[CodingResult]:
    """Code files; the result of each as soon as it is coded. A file that cannot be coded does not stop the others.

    Args:
        codec: codec that ``settings.codec`` names, from which the other processes read it again.
        settings: settings of the coding, the same for every file.
        pairs: path of each file to read, and of the file to write.
        jobs: number of processes; 1 codes the files in this one, in their order.
        prepare: function that each other process calls first, to import the codec's own parts for example; it has to
            be picklable. None calls nothing.

    Raises:
        ValueError: the codec cannot be used with these settings.
    """
    coder = FileCoder(codec, settings)  # for several processes, too: what is wrong is said here, once
    if jobs == 1:
        for source, target in pairs:
            yield coder(source, target)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start_process, (prepare,)) as pool:
        for future in as_completed([pool.submit(_code_in_process, settings, *pair) for pair in pairs]):
            yield future.result()


def _start_process(prepare: Callable[[], None] | None) -> None:
    torch.set_num_threads(1)
    if prepare is not None:
        prepare()


def _code_in_process(settings: CodingSettings, source: Path, target: Path) -> CodingResult:
    return _file_coder(settings)(source, target)


@cache
def _file_coder(settings: CodingSettings) -> FileCoder:
    """The coder of a process, which codes many files with it."""
    return FileCoder(Codec.from_pretrained(settings.codec), settings)


@dataclass(frozen=True)
class CodingTotals:
    """Sums over files that were coded.

    Attributes:
        files: number of files.
        seconds: duration of their audio, seconds.
        kbps: mean bitrate over that duration; 0 without audio.
    """

    files: int
    seconds: float
    kbps: float

    @classmethod
    def of(cls, results: Sequence[CodingResult]) -> "CodingTotals":
        """The sums over the results of files that could be coded."""
        coded = [result.coded for result in results if result.coded is not None]
        seconds = sum(file.seconds for file in coded)
        kilobits = sum(file.kbps * file.seconds for file in coded)
        return cls(len(coded), seconds, kilobits / seconds if seconds else 0.0)
