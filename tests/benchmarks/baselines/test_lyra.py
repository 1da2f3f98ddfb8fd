"""Lyra V2, where LiteRT and its published models are."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from codeclab.benchmarks.baselines.columns import baseline_columns
from codeclab.benchmarks.baselines.lyra import RUNTIMES, LyraV2
from codeclab.codecs.resample import resample


@pytest.fixture
def lyra(shared: Path) -> LyraV2:
    if not any(find_spec(name) for name in RUNTIMES):
        pytest.skip("needs LiteRT: pip install 'codeclab[lyra]'")
    return LyraV2(str(shared / "baselines" / "lyra_v2"))


@pytest.fixture
def speech(lyra: LyraV2) -> Tensor:
    samples, rate = soundfile.read(Path(str(lyra.folder)) / "sample1_16kHz.wav", dtype="float32")
    assert rate == 16000
    return torch.from_numpy(samples)[None]


def correlation(first: Tensor, second: Tensor) -> float:
    return float(np.corrcoef(first, second)[0, 1])


@pytest.mark.shared
def test_it_decodes_as_it_was_tried(lyra: LyraV2, speech: Tensor) -> None:
    """The figures in the README beside the models: 0.935 at 9.2 kbps, 0.905 at 4.6 kbps, with no delay."""
    decoded, kbps = lyra.transcode(speech, 16000, 9.2)
    assert kbps == pytest.approx(9.2)
    assert decoded.shape == speech.shape
    assert correlation(decoded[0], speech[0]) == pytest.approx(0.935, abs=0.001)
    samples = speech.shape[1]
    half = lyra.decode(lyra.encode(speech[0], 23))[:samples]
    assert correlation(half, speech[0]) == pytest.approx(0.905, abs=0.001)
    shifted = [correlation(decoded[0, 100 + by : samples - 100 + by], speech[0, 100:-100]) for by in range(-9, 10)]
    assert int(np.argmax(shifted)) == 9


@pytest.mark.shared
def test_every_file_begins_anew_and_fewer_quantizers_are_fewer_codes(lyra: LyraV2, speech: Tensor) -> None:
    part = speech[0, : 16000 + 100]
    codes = lyra.encode(part, 16)
    assert codes.shape == (46, 51)
    assert codes.dtype == torch.int64
    assert (codes[:16] >= 0).all()
    assert (codes[:16] < 16).all()
    assert (codes[16:] == -1).all()
    lyra.encode(speech[0].flip(0), 46)
    assert torch.equal(lyra.encode(part, 16), codes)
    assert torch.equal(lyra.decode(codes), lyra.decode(codes))


@pytest.mark.shared
@pytest.mark.parametrize(("bitrate", "kbps"), [(3.2, 3.2), (6.0, 6.0), (9.2, 9.2), (3.21, 3.2)])
def test_its_bitrates(lyra: LyraV2, speech: Tensor, bitrate: float, kbps: float) -> None:
    result = lyra.transcode(resample(speech[:, :8000], 16000, 24000), 24000, bitrate)
    assert result[0].shape == (1, 12000)
    assert result[1] == pytest.approx(kbps)


@pytest.mark.shared
def test_its_columns(lyra: LyraV2) -> None:
    names = ["compression", "bandwidth", "rtf_encoder", "rtf_decoder", "stride"]
    columns = baseline_columns(lyra, names, [6.0]).set_index("metric")["mean"]
    assert list(columns.index) == ["compression", "bandwidth", "rtf_encoder", "rtf_decoder"]
    assert columns["compression"] == pytest.approx(256 / 6)
    assert columns["bandwidth"] == 8
    assert columns["rtf_encoder"] > 0


def test_a_mean_of_bitrates_has_the_speed_of_the_bitrate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over clips of different lengths the mean of 9.2 kbps may be 9.200000000000001."""
    counts: list[int] = []

    def encode(self: LyraV2, audio: Tensor, n_quantizers: int) -> Tensor:
        counts.append(n_quantizers)
        return audio

    monkeypatch.setattr(LyraV2, "encode", encode)
    monkeypatch.setattr(LyraV2, "decode", lambda self, codes: codes)
    columns = baseline_columns(LyraV2("models"), ["rtf_encoder", "rtf_decoder"], [9.200000000000001])
    assert list(columns["metric"]) == ["rtf_encoder", "rtf_decoder"]
    assert set(counts) == {46}


def test_what_is_missing_is_said_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: Callable[[str], object | None] = lambda name: object()  # noqa: E731
    monkeypatch.setattr("codeclab.benchmarks.baselines.lyra.find_spec", installed)
    monkeypatch.delenv("CODECLAB_LYRA", raising=False)
    assert "give `folder`, or set CODECLAB_LYRA" in (LyraV2().available() or "")
    monkeypatch.setenv("CODECLAB_LYRA", str(tmp_path))
    assert "quantizer.tflite, lyragan.tflite not in" in (LyraV2().available() or "")
    monkeypatch.setattr("codeclab.benchmarks.baselines.lyra.find_spec", lambda name: None)
    assert LyraV2().available() == "Lyra V2 needs LiteRT: pip install 'codeclab[lyra]'"
    with pytest.raises(RuntimeError, match=r"pip install 'codeclab\[lyra\]'"):
        LyraV2().transcode(torch.zeros(1, 320), 16000, 6)
    with pytest.raises(ValueError, match=r"Lyra V2 does not offer 5 kbps; it offers 3.2, 6, 9.2 kbps"):
        LyraV2().transcode(torch.zeros(1, 320), 16000, 5)
