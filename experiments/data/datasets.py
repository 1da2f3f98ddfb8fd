"""The papers' datasets: which files of a local copy, split how, under which licence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from codeclab.experiments.data import dataset_rules
from codeclab.experiments.data.recording import DataError, Recording

ENCODEC = "EnCodec, appendix A.1"
DAC = "Improved RVQGAN, section 4.1"

Found = dict[str, list[Path]]
"""Files by split."""


@dataclass(frozen=True)
class Dataset:
    """One of the datasets the papers train on.

    Args:
        title: Its whole name.
        domain: "speech", "music" or "general".
        layout: What a copy looks like, a path a line, below the folder given.
        rule: How it is split.
        paper: Whose rule that is.
        licence: Of the audio.
        find: Files of a copy by split; None where the layout is another.
    """

    title: str
    domain: str
    layout: str
    rule: str
    paper: str
    licence: str
    find: Callable[[Path], Found | None]

    def list_files(self, root: Path) -> list[Recording]:
        """The dataset's files with split, domain and name, headers not yet read.

        Raises:
            DataError: If the folder is not laid out as expected.
        """
        if not root.is_dir():
            raise DataError(f"there is no folder {root}")
        found = self.find(root)
        if not found or not any(found.values()):
            raise DataError(f"{root} is not laid out as {self.title} is; expected there:\n{indent(self.layout, '  ')}")
        name = next(name for name, dataset in DATASETS.items() if dataset is self)
        return [
            Recording(path, self.domain, 0, 0, 0.0, None, split, f"{name}/{path.relative_to(root).as_posix()}")
            for split, paths in found.items()
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
        dataset_rules.find_dns,
    ),
    "common_voice": Dataset(
        "Common Voice 7.0",
        "speech",
        "[cv-corpus-7.0-2021-07-21/]LANGUAGE/clips/*.mp3, any number of languages",
        "99.5 % of the clips train, 0.25 % valid, the rest test, at random; validated or not",
        ENCODEC,
        "CC0 1.0",
        dataset_rules.find_common_voice,
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
        dataset_rules.find_audioset,
    ),
    "fsd50k": Dataset(
        "FSD50K",
        "general",
        "FSD50K.dev_audio/*.wav\nFSD50K.eval_audio/*.wav",
        "dev train, a random half of eval valid, the other half test",
        ENCODEC,
        "by clip: CC0, CC BY, CC BY-NC or CC Sampling+ (FSD50K.metadata/)",
        dataset_rules.find_fsd50k,
    ),
    "jamendo": Dataset(
        "MTG-Jamendo",
        "music",
        "raw_30s.tsv, or data/raw_30s.tsv, of the dataset's repository\n"
        "[raw_30s/audio/ or audio/]NN/TRACK.mp3 (or TRACK.low.mp3)",
        "96 % of the artists with all their tracks train, 2 % valid, 2 % test, at random: no artist is in two",
        ENCODEC,
        "by track: Creative Commons licences (audio_licenses.txt); metadata CC BY-NC-SA 4.0",
        dataset_rules.find_jamendo,
    ),
    "daps": Dataset(
        "DAPS, clean",
        "speech",
        "[daps/]clean/SPEAKER_scriptN_clean.wav, speakers f1 to f10 and m1 to m10",
        "f10 and m10 test; f2 and m2 valid, as the released code has it; the others train",
        DAC,
        "CC BY-NC 4.0 (non-commercial)",
        dataset_rules.find_daps,
    ),
    "vctk": Dataset(
        "VCTK",
        "speech",
        "[VCTK-Corpus-0.92/]wav48_silence_trimmed/pNNN/pNNN_NNN_mic1.flac  (0.92: the first microphone)\n"
        "or [VCTK-Corpus/]wav48/pNNN/pNNN_NNN.wav                           (0.80)",
        "all train",
        DAC,
        "CC BY 4.0 (0.92), ODC-By 1.0 (0.80)",
        dataset_rules.find_vctk,
    ),
    "musdb18": Dataset(
        "MUSDB18 or MUSDB18-HQ, mixtures",
        "music",
        "train/NAME.stem.mp4 and test/NAME.stem.mp4\n"
        "or train/NAME/mixture.wav and test/NAME/mixture.wav (HQ; the other ends at 16 kHz)",
        "train train, test test",
        DAC,
        "by track, most of them CC BY-NC-SA 4.0; for academic use",
        dataset_rules.find_musdb18,
    ),
}
"""By the name ``codeclab data prepare`` knows them by."""


def describe_all(names: Sequence[str] = tuple(DATASETS)) -> str:
    """What `codeclab data prepare --help` says of the datasets."""
    parts = [f"{name}: {DATASETS[name].describe()}" for name in names]
    ending = (
        "Random is a hash of the file's (or artist's) name: the same everywhere, exact in number. A manifest without\n"
        "valid or test files has them cut from its train files, 5 % each, when it is used."
    )
    return "\n\n".join([*parts, ending])
