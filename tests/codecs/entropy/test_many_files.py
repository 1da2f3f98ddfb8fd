"""Many files through a codec, in this process and in others, from Python."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.audio_files import CodedFile
from codeclab.codecs.entropy.file_coder import CodingResult, CodingSettings, FileCoder
from codeclab.codecs.entropy.many_files import CODES, CodingTotals, code_files, file_pairs
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.experiments.config.own_code import import_files
from codeclab.quantizers.residual_vq import ResidualVQ

SHAPE = {"dimension": 4, "n_filters": 2, "strides": [2, 4]}

OWN_PART = """
from codeclab.quantizers.residual_vq import ResidualVQ


class OwnVQ(ResidualVQ):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    parts = SEANetEncoder(**SHAPE), ResidualVQ(4, 3, 16), SEANetDecoder(**SHAPE)
    Codec(*parts, sample_rate=8000).save(tmp_path / "codec")
    for name, seconds in {"a.wav": 0.3, "deep/b.FLAC": 0.2}.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * 8000))
        soundfile.write(path, noise, 8000)
    return tmp_path


def test_the_files_of_a_folder_keep_their_subfolders(folder: Path) -> None:
    out = folder / "out"
    pairs = file_pairs(folder / "in", out, {".wav", ".flac"}, ".clc")
    assert [(source.name, target) for source, target in pairs] == [
        ("a.wav", out / "a.clc"),
        ("b.FLAC", out / "deep" / "b.clc"),
    ]
    one = folder / "in" / "a.wav"
    assert file_pairs(one, folder / "codec", {".wav"}, ".clc") == [(one, folder / "codec" / "a.clc")]
    assert file_pairs(one, folder / "x.clc", {".wav"}, ".clc") == [(one, folder / "x.clc")]
    (folder / "in" / "a.flac").write_bytes((folder / "in" / "deep" / "b.FLAC").read_bytes())
    with pytest.raises(ValueError, match=r"a.wav and .*a.flac would both go to .*a.clc; rename one"):
        file_pairs(folder / "in", out, {".wav", ".flac"}, ".clc")
    with pytest.raises(ValueError, match=r"there are no files that end with .clc, .ecdc in"):
        file_pairs(folder / "in", out, CODES, ".wav")


def test_files_that_are_to_be_read_are_not_replaced(folder: Path) -> None:
    one, suffixes = folder / "in" / "a.wav", {".wav", ".flac"}
    (folder / "link.wav").symlink_to(one)
    for target in (one, one.parent, folder / "link.wav", folder / "in" / "deep" / ".." / "a.wav"):
        with pytest.raises(ValueError, match=r".wav, which is to be read; give another OUT, such as .*a-coded.wav"):
            file_pairs(one, target, suffixes, ".wav")
    with pytest.raises(ValueError, match=r"a.wav would replace .*a.wav, .* such as an empty folder$"):
        file_pairs(folder / "in", folder / "in", suffixes, ".wav")
    (folder / "in" / "deep" / "a.wav").write_bytes(one.read_bytes())
    with pytest.raises(ValueError, match=r"in/a.wav would replace .*in/deep/a.wav, which is to be read"):
        file_pairs(folder / "in", folder / "in" / "deep", suffixes, ".wav")
    assert len(file_pairs(folder / "in", folder / "in", suffixes, ".clc")) == 3  # beside the audio


def test_other_processes_write_the_same_bytes(folder: Path) -> None:
    settings = CodingSettings("encode", str(folder / "codec"), bitrate=8.0)
    missing = (folder / "none.wav", folder / "none.clc")
    results = {}
    for jobs in (1, 2):
        pairs = file_pairs(folder / "in", folder / f"out{jobs}", {".wav", ".flac"}, ".clc")
        codec = Codec.from_pretrained(settings.codec)
        results[jobs] = list(code_files(codec, settings, [*pairs, missing], jobs))
    one, two = ({result.source: result for result in results[jobs]} for jobs in (1, 2))
    assert one == two
    assert [path.name for path, result in one.items() if result.coded is None] == ["none.wav"]
    assert "none.wav" in one[missing[0]].error
    for name in ("a.clc", "deep/b.clc"):
        assert (folder / "out1" / name).read_bytes() == (folder / "out2" / name).read_bytes()
    totals = CodingTotals.of(results[2])
    assert (totals.files, totals.seconds) == (2, pytest.approx(0.5))


def test_other_processes_import_the_codecs_own_parts_first(folder: Path) -> None:
    own = folder / "own_vq_of_many_files.py"
    own.write_text(OWN_PART)
    prepare = partial(import_files, [str(own)])
    prepare()
    from own_vq_of_many_files import OwnVQ

    Codec(SEANetEncoder(**SHAPE), OwnVQ(4, 3, 16), SEANetDecoder(**SHAPE), sample_rate=8000).save(folder / "own")
    settings = CodingSettings("reconstruct", str(folder / "own"))
    pairs = file_pairs(folder / "in", folder / "out", {".wav", ".flac"}, ".wav")
    results = list(code_files(Codec.from_pretrained(settings.codec), settings, pairs, 2, prepare))
    assert [result.error for result in results] == ["", ""]


def test_settings_that_the_codec_cannot_have_are_refused_before_the_first_file(folder: Path) -> None:
    settings = CodingSettings("encode", str(folder / "codec"), bitrate=7.0)
    with pytest.raises(ValueError, match="does not offer 7 kbps; it offers 4, 8, 12 kbps"):
        FileCoder(Codec.from_pretrained(settings.codec), settings)


def test_an_ecdc_file_of_a_language_model_needs_one(folder: Path) -> None:
    coder = FileCoder(Codec.from_pretrained(str(folder / "codec")), CodingSettings("encode", str(folder / "codec")))
    coder.settings = replace(coder.settings, entropy="lm")
    result = coder(folder / "in" / "a.wav", folder / "a.ecdc")
    assert result.error == (
        "--entropy lm needs a language model, and there is none beside the codec; fit one with codeclab fit-lm or name "
        "one, as in --language-model FOLDER"
    )


def test_the_mean_bitrate_is_weighted_by_duration() -> None:
    results = [
        CodingResult(Path(name), file) for name, file in {"a": CodedFile(3.0, 2.0), "b": CodedFile(1.0, 6.0)}.items()
    ]
    assert CodingTotals.of([*results, CodingResult(Path("c"), None, "damaged")]) == CodingTotals(2, 4.0, 3.0)
    assert CodingTotals.of([]) == CodingTotals(0, 0.0, 0.0)
