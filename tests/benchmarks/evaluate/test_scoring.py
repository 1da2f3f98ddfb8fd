import pytest
import torch

from codeclab.benchmarks.evaluate.scoring import Scorer
from codeclab.benchmarks.metrics.mel_distance import MelDistance
from codeclab.benchmarks.metrics.registry import METRICS, metrics_named
from codeclab.benchmarks.metrics.stft_distance import STFTDistance
from codeclab.codecs import loudness

RATE = 16_000
NAMES = [
    *("si_sdr", "mel_distance", "mel_distance_matched", "stft_distance", "stft_distance_log"),
    *("stft_distance_matched", "visqol_audio_swapped_matched", "visqol_speech", "visqol_speech_exponential"),
]


@pytest.fixture
def versions(make_clip) -> list[torch.Tensor]:
    """An original ``[1, N]`` and three decoded versions of it."""
    clean = make_clip("a", "speech", sample_rate=RATE).audio
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    return [clean, *(0.7 * clean + level * noise for level in (0.001, 0.004, 0.02))]


@pytest.mark.parametrize("workers", [0, 1])
def test_versions_score_together_what_each_scores_alone(versions, workers) -> None:
    clean, *decoded = versions
    with Scorer(metrics_named(NAMES), workers) as scorer:
        waiting = [scorer.submit(clean, version, RATE) for version in decoded]
        waiting.append(scorer.submit(decoded[0], clean, RATE))
        waiting[0].settle("visqol_speech")
        waiting.append(scorer.submit(decoded[0], decoded[1], RATE))
        together = [{name: pending.settle(name) for name in NAMES} for pending in waiting]
    pairs = [*((clean, version) for version in decoded), (decoded[0], clean), (decoded[0], decoded[1])]
    for actual, (reference, estimate) in zip(together, pairs, strict=True):
        alone = {name: METRICS[name].load()(reference, estimate, RATE) for name in NAMES}
        assert actual == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize(("name", "kind"), [("mel_distance", MelDistance), ("stft_distance", STFTDistance)])
def test_spectra_of_an_original_are_computed_once(versions, monkeypatch, name, kind) -> None:
    clean, *decoded = versions
    computed: list[torch.Tensor] = []
    spectra = kind.spectra

    def counted(self, audio):
        computed.append(audio[0])
        return spectra(self, audio)

    monkeypatch.setattr(kind, "spectra", counted)
    with Scorer(metrics_named([name, f"{name}_matched"]), workers=0) as scorer:
        for version in decoded:
            scorer.submit(clean, version, RATE)
    assert len(computed) == 1 + 2 * len(decoded)
    assert sum(torch.equal(audio, clean) for audio in computed) == 1


def test_loudness_of_an_original_is_measured_once(versions, monkeypatch) -> None:
    clean, *decoded = versions
    measured: list[torch.Tensor] = []
    measure = loudness.measure_lufs

    def counted(audio, sample_rate):
        measured.append(audio)
        return measure(audio, sample_rate)

    monkeypatch.setattr("codeclab.codecs.loudness.measure_lufs", counted)
    monkeypatch.setattr("codeclab.benchmarks.evaluate.scoring.measure_lufs", counted)
    with Scorer(metrics_named(["mel_distance_matched", "stft_distance_matched"]), workers=0) as scorer:
        for version in decoded:
            scorer.submit(clean, version, RATE)
    assert len(measured) == 1 + len(decoded)


def test_a_failure_of_the_original_is_every_versions(versions) -> None:
    clean, *decoded = versions
    with Scorer(metrics_named(["mel_distance", "visqol_audio"]), workers=0) as scorer:
        for version in decoded:
            pending = scorer.submit(clean[:, :900], version[:, :900], RATE)
            pending.settle("visqol_audio")
            assert "too few for a window" in pending.failures["mel_distance"]
            assert "Too few samples" in pending.failures["visqol_audio"]
