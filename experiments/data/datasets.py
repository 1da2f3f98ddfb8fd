"""The papers' datasets: the files of a local copy, their splits and their licence."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import TypeVar

from codeclab.experiments.data.manifest import walk
from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.splits import draw_position

Item = TypeVar("Item")

FilesBySplit = dict[str, list[Path]]

SEED = 0
"""Seed of all random splits, so that results on a dataset are comparable between people."""

DNS_PARTS = (
    "emotional_speech", "french_speech", "german_speech", "italian_speech", "read_speech", "russian_speech",
    "spanish_speech", "vctk_wav48_silence_trimmed", "VocalSet_48kHz_mono",
)  # fmt: skip

DAPS_VALID, DAPS_TEST = ("f2", "m2"), ("f10", "m10")

JAMENDO_TABLES = ("raw_30s.tsv", "data/raw_30s.tsv")

JAMENDO_FOLDERS = ("raw_30s/audio", "audio", "raw_30s", ".")


def share_out(items: Iterable[Item], names: Iterable[str], valid: float, test: float) -> dict[str, list[Item]]:
    """Split at random, exactly in number: items in the order of a hash of their names are counted off.

    Args:
        items: items to split.
        names: the name of each, the same wherever the dataset is.
        valid: share of the validation split; of four items or more, one at least.
        test: share of the test split; of four items or more, one at least.

    Returns:
        the items of each split, in their own order.
    """
    pairs = list(zip(names, items, strict=True))
    order = sorted(range(len(pairs)), key=lambda index: (draw_position(SEED, pairs[index][0]), pairs[index][0]))
    least = int(len(pairs) >= 4)
    count_valid, count_test = (max(round(share * len(pairs)), least) for share in (valid, test))
    till = count_valid + count_test
    chosen = {"train": order[till:], "valid": order[:count_valid], "test": order[count_valid:till]}
    return {split: [pairs[index][1] for index in sorted(indices)] for split, indices in chosen.items()}


def find_dns(root: Path) -> FilesBySplit:
    """DNS Challenge 4: the folders of clean speech, wherever the archives were unpacked."""
    bases = [root, root / "datasets_fullband", root / "clean_fullband", root / "datasets_fullband" / "clean_fullband"]
    files = [path for base in bases for part in DNS_PARTS for path in _sorted(base / part)]
    names = ["/".join(path.relative_to(root).parts[-3:]) for path in files]  # the same wherever archives were unpacked
    return share_out(files, names, 0.01, 0.01)


def find_common_voice(root: Path) -> FilesBySplit:
    """Common Voice: the clips of every language."""
    languages = {path.parent for pattern in ("clips", "*/clips", "*/*/clips") for path in root.glob(pattern)}
    files = [path for language in sorted(languages) for path in _sorted(language / "clips")]
    return share_out(files, [f"{path.parent.parent.name}/{path.name}" for path in files], 0.0025, 0.0025)


def find_audioset(root: Path) -> FilesBySplit:
    """AudioSet: the train segments, and the eval segments by halves."""
    train = [path for part in ("unbalanced", "balanced") for path in _sorted(root / f"{part}_train_segments")]
    return _with_halves(train, _sorted(root / "eval_segments"))


def find_fsd50k(root: Path) -> FilesBySplit:
    """FSD50K: the dev set, and the eval set by halves."""
    return _with_halves(_sorted(root / "FSD50K.dev_audio"), _sorted(root / "FSD50K.eval_audio"))


def find_jamendo(root: Path) -> FilesBySplit:
    """MTG-Jamendo: artists are split, each with all the tracks of this copy."""
    table = next((root / name for name in JAMENDO_TABLES if (root / name).is_file()), None)
    if table is None:
        return {}
    tracks: dict[str, list[Path]] = {}
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(reader, None)
        for _, artist, _, name, *_ in reader:
            low = str(Path(name).with_suffix(".low.mp3"))
            candidates = (root / folder / form for folder in JAMENDO_FOLDERS for form in (name, low))
            path = next((candidate for candidate in candidates if candidate.is_file()), None)
            if path is not None:
                tracks.setdefault(artist, []).append(path)
    artists = sorted(tracks)
    split = share_out(artists, artists, 0.02, 0.02)
    return {part: [path for artist in members for path in tracks[artist]] for part, members in split.items()}


def find_daps(root: Path) -> FilesBySplit:
    """DAPS: the clean recordings by speaker, without the folder of breaths."""
    files = [path for base in (root, root / "daps") for path in _sorted(base / "clean", "*_clean.wav")]
    speakers = [(path.name.split("_")[0], path) for path in files]
    return {
        "train": [path for speaker, path in speakers if speaker not in DAPS_VALID + DAPS_TEST],
        "valid": [path for speaker, path in speakers if speaker in DAPS_VALID],
        "test": [path for speaker, path in speakers if speaker in DAPS_TEST],
    }


def find_vctk(root: Path) -> FilesBySplit:
    """VCTK: every utterance; of the two microphones of version 0.92 the first."""
    for base in (root, root / "VCTK-Corpus-0.92", root / "VCTK-Corpus"):
        files = _sorted(base / "wav48_silence_trimmed", "*/*_mic1.flac") or _sorted(base / "wav48", "*/*.wav")
        if files:
            return {"train": files}
    return {}


def find_musdb18(root: Path) -> FilesBySplit:
    """MUSDB18: the mixture of every track, the first stream of a stem file."""
    tracks = {}
    for split in ("train", "test"):
        tracks[split] = _sorted(root / split, "*/mixture.wav") or _sorted(root / split, "*.stem.mp4")
    return tracks if all(tracks.values()) else {}


def _with_halves(train: list[Path], evaluation: list[Path]) -> FilesBySplit:
    if not train or not evaluation:
        return {}
    halves = share_out(evaluation, [path.name for path in evaluation], 0.5, 0.5)
    # Of an odd number the rounding may leave one over.
    return {"train": train, "valid": halves["valid"], "test": halves["test"] + halves["train"]}


def _sorted(folder: Path, pattern: str | None = None) -> list[Path]:
    """The audio files below a folder, or those that a pattern matches; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(folder.glob(pattern) if pattern else walk(folder))


ENCODEC = "EnCodec, appendix A.1"

DAC = "Improved RVQGAN, section 4.1"


@dataclass(frozen=True)
class Dataset:
    """One of the datasets the papers train on.

    Args:
        title: its whole name.
        domain: "speech", "music" or "general".
        layout: the files of a copy, one path per line, below the given folder.
        rule: rule of its split.
        paper: paper that gives the rule.
        licence: licence of the audio.
        find: files of a copy by split; none of another layout.
    """

    title: str
    domain: str
    layout: str
    rule: str
    paper: str
    licence: str
    find: Callable[[Path], FilesBySplit]

    def list_files(self, root: Path) -> list[Recording]:
        """The dataset's files with split, domain and name, headers not yet read.

        Raises:
            DataError: the folder is not laid out as expected.
        """
        if not root.is_dir():
            raise DataError(f"there is no folder {root}")
        files = self.find(root)
        if not any(files.values()):
            raise DataError(f"{root} is not laid out as {self.title} is; expected there:\n{indent(self.layout, '  ')}")
        name = next(name for name, dataset in DATASETS.items() if dataset is self)
        return [
            Recording(path, self.domain, 0, 0, 0.0, None, split, f"{name}/{path.relative_to(root).as_posix()}")
            for split, paths in files.items()
            for path in paths
        ]

    def describe(self) -> str:
        """Layout, rule and licence, as lines."""
        layout = indent(self.layout, "    ")
        rule = f"  split    {self.rule} ({self.paper})\n  licence  {self.licence}"
        return f"{self.title} ({self.domain})\n  layout\n{layout}\n{rule}"


DATASETS = {
    "dns": Dataset(
        "DNS Challenge 4, clean speech",
        "speech",
        "[datasets_fullband/][clean_fullband/]PART/**.wav, each PART that is there of: emotional_speech,\n"
        "french_speech, german_speech, italian_speech, read_speech, russian_speech, spanish_speech,\n"
        "vctk_wav48_silence_trimmed, VocalSet_48kHz_mono",
        "98 % of the segments train, 1 % valid, 1 % test, at random",
        ENCODEC,
        "by part: LibriVox public domain, PTDB-TUG ODbL, VCTK ODC-By 1.0, VocalSet CC BY 4.0, CREMA-D DbCL, and\n"
        "           others; the room responses (impulse_responses/, for --data.room_responses) are Apache 2.0",
        find_dns,
    ),
    "common_voice": Dataset(
        "Common Voice 7.0",
        "speech",
        "[cv-corpus-7.0-2021-07-21/]LANGUAGE/clips/*.mp3, any number of languages",
        "99.5 % of the clips train, 0.25 % valid, the rest test, at random; validated or not",
        ENCODEC,
        "CC0 1.0",
        find_common_voice,
    ),
    "audioset": Dataset(
        "AudioSet",
        "general",
        "unbalanced_train_segments/**  (audio of the clips, any names)\n"
        "eval_segments/**\n"
        "balanced_train_segments/**    (if there: train; Improved RVQGAN has both)",
        "train segments train, a random half of the eval segments valid, the other half test",
        ENCODEC,
        "labels CC BY 4.0; each clip's audio is its YouTube video's",
        find_audioset,
    ),
    "fsd50k": Dataset(
        "FSD50K",
        "general",
        "FSD50K.dev_audio/*.wav\nFSD50K.eval_audio/*.wav",
        "dev train, a random half of eval valid, the other half test",
        ENCODEC,
        "by clip: CC0, CC BY, CC BY-NC or CC Sampling+ (FSD50K.metadata/)",
        find_fsd50k,
    ),
    "jamendo": Dataset(
        "MTG-Jamendo",
        "music",
        "raw_30s.tsv, or data/raw_30s.tsv, of the dataset's repository\n"
        "[raw_30s/audio/ or audio/]NN/TRACK.mp3 (or TRACK.low.mp3)",
        "96 % of the artists with all their tracks train, 2 % valid, 2 % test, at random: no artist is in two",
        ENCODEC,
        "by track: Creative Commons licences (audio_licenses.txt); metadata CC BY-NC-SA 4.0",
        find_jamendo,
    ),
    "daps": Dataset(
        "DAPS, clean",
        "speech",
        "[daps/]clean/SPEAKER_scriptN_clean.wav, speakers f1 to f10 and m1 to m10",
        "f10 and m10 test; f2 and m2 valid, as the released code has it; the others train",
        DAC,
        "CC BY-NC 4.0 (non-commercial)",
        find_daps,
    ),
    "vctk": Dataset(
        "VCTK",
        "speech",
        "[VCTK-Corpus-0.92/]wav48_silence_trimmed/pNNN/pNNN_NNN_mic1.flac  (0.92: the first microphone)\n"
        "or [VCTK-Corpus/]wav48/pNNN/pNNN_NNN.wav                           (0.80)",
        "all train",
        DAC,
        "CC BY 4.0 (0.92), ODC-By 1.0 (0.80)",
        find_vctk,
    ),
    "musdb18": Dataset(
        "MUSDB18 or MUSDB18-HQ, mixtures",
        "music",
        "train/NAME.stem.mp4 and test/NAME.stem.mp4\n"
        "or train/NAME/mixture.wav and test/NAME/mixture.wav (HQ; the other ends at 16 kHz)",
        "train train, test test",
        DAC,
        "by track, most of them CC BY-NC-SA 4.0; for academic use",
        find_musdb18,
    ),
}
"""Datasets by their names in ``codeclab data prepare``."""


def describe_all() -> str:
    """The text of ``codeclab data prepare --help`` about the datasets."""
    parts = [f"{name}: {dataset.describe()}" for name, dataset in DATASETS.items()]
    ending = (
        "Random is a hash of the file's (or artist's) name: the same everywhere, exact in number. A manifest without\n"
        "valid or test files has them cut from its train files, 5 % each, when it is used."
    )
    return "\n\n".join([*parts, ending])
