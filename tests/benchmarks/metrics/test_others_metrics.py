"""Metrics of other packages, against the examples those packages publish, or against a second implementation."""

import math
import shutil
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.scoring import Scorer
from codeclab.benchmarks.metrics.errors import MetricError, MetricMissingError
from codeclab.benchmarks.metrics.registry import METRICS, metrics_named
from codeclab.experiments.data.module import AudioData

OLD_PACKAGES = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def needs(*packages: str) -> pytest.MarkDecorator:
    missing = [package for package in packages if find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: pip install 'codeclab[metrics]'")


@pytest.fixture
def published() -> tuple[Tensor, Tensor]:
    """The signals of torchmetrics' docstrings: estimate and reference, as its documentation's tests draw them."""
    torch.manual_seed(42)
    estimate, reference = torch.randn(8000), torch.randn(8000)
    return reference[None], estimate[None]


@pytest.fixture(scope="module")
def voices() -> list[Clip]:
    """Recordings that ship: sentences of several speakers."""
    return list(AudioData("recordings", sample_rate=16000, clip_seconds=6.0).clips("test"))


@needs("pesq")
def test_pesq_gives_the_published_example(published: tuple[Tensor, Tensor]) -> None:
    # torchmetrics.functional.audio.pesq: tensor(2.2885) at 8 kHz, tensor(1.6805) at 16 kHz.
    assert METRICS["pesq_narrowband"].load()(*published, 8000) == pytest.approx(2.2885, abs=5e-5)
    assert METRICS["pesq"].load()(*published, 16000) == pytest.approx(1.6805, abs=5e-5)
    with pytest.raises(MetricError, match="Buffer"):
        METRICS["pesq"].load()(*(audio[:, :2000] for audio in published), 16000)


@needs("pystoi")
def test_stoi_gives_the_published_example(published: tuple[Tensor, Tensor]) -> None:
    # torchmetrics.functional.audio.stoi: tensor(-0.084...)
    result = METRICS["stoi"].load()(*published, 8000)
    assert math.floor(-1000 * result) == 84
    assert METRICS["estoi"].load()(*published, 8000) != result
    assert METRICS["stoi"].load()(published[0], published[0], 8000) == pytest.approx(1, abs=1e-4)
    with pytest.raises(MetricError, match=r"less than 0\.4 s of the reference"):
        METRICS["stoi"].load()(*(audio[:, :1500] for audio in published), 8000)


@needs("speechmos", "onnxruntime", "librosa")
@OLD_PACKAGES
def test_dnsmos_is_that_of_torchmetrics(voices: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two implementations around the same networks."""
    import speechmos
    from torchmetrics.functional.audio import dnsmos as other

    weights = Path(speechmos.__file__).parent
    for theirs, ours in (("DNSMOS", "dnsmos_models"), ("pDNSMOS", "pdnsmos_models")):
        shutil.copytree(weights / ours, tmp_path / theirs)
    monkeypatch.setattr(other, "DNSMOS_DIR", str(tmp_path))
    torch.manual_seed(42)
    example = other.deep_noise_suppression_mean_opinion_score(torch.randn(8000), 8000, False, num_threads=1)
    # Its documentation: tensor([2.2..., 2.0..., 1.1..., 1.2...])
    assert [int(10 * score) for score in example] == [22, 20, 11, 12]
    audio = voices[0].audio
    expected = other.deep_noise_suppression_mean_opinion_score(audio[0], 16000, False, num_threads=1)
    names = ("dnsmos_p808", "dnsmos_signal", "dnsmos_background", "dnsmos")
    result = [METRICS[name].load()(audio, audio, 16000) for name in names]
    assert result == pytest.approx(expected.tolist(), abs=1e-4)
    noisy = audio + 0.05 * torch.randn(audio.shape)
    assert METRICS["dnsmos"].load()(audio, noisy, 16000) < result[-1] - 0.3
    with pytest.raises(MetricError, match="the estimate is silent"):
        METRICS["dnsmos"].load()(audio, 0 * audio, 16000)


def test_four_scores_of_dnsmos_are_one_run_of_its_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's interface as it documents it, with networks that count their runs."""
    runs: list[int] = []

    def run(samples: np.ndarray, sample_rate: int) -> dict[str, float]:
        runs.append(sample_rate)
        loudest = float(abs(samples).max())
        return {"ovrl_mos": loudest, "sig_mos": 2.0, "bak_mos": 3.0, "p808_mos": 4.0}

    package = ModuleType("speechmos")
    package.dnsmos = SimpleNamespace(run=run)  # type: ignore[attr-defined]
    package.__spec__ = find_spec("json")
    monkeypatch.setitem(sys.modules, "speechmos", package)
    names = ["dnsmos", "dnsmos_signal", "dnsmos_background", "dnsmos_p808"]
    metrics = [METRICS[name] for name in names]
    original = 0.5 * torch.sin(torch.arange(16000) * 0.1)[None]
    decoded = original.clone()
    with Scorer(metrics, workers=0) as scorer:
        pending = scorer.submit(original, decoded, 16000)
        assert [pending.settle(name) for name in names] == pytest.approx([0.5, 2, 3, 4], abs=1e-3)
        assert runs == [16000]
        # The same tensor with other samples is another clip.
        decoded *= 0.5
        assert scorer.submit(original, decoded, 16000).settle("dnsmos") == pytest.approx(0.25, abs=1e-3)
    assert [metric.load()(original, decoded, 16000) for metric in metrics] == pytest.approx([0.25, 2, 3, 4], abs=1e-3)
    decoded *= 0.5
    assert METRICS["dnsmos"].load()(original, decoded, 16000) == pytest.approx(0.125, abs=1e-3)


@needs("resemblyzer", "librosa", "webrtcvad")
@OLD_PACKAGES
def test_a_speaker_is_nearer_to_herself(voices: list[Clip]) -> None:
    """What the package's first demonstration shows: sentences of one voice lie nearer than those of two."""
    similarity = METRICS["speaker_similarity"].load()
    by_speaker: dict[str, list[Tensor]] = {}
    for clip in voices:
        by_speaker.setdefault(Path(clip.name).name.split("_")[0], []).append(clip.audio)
    several = [clips for clips in by_speaker.values() if len(clips) > 1]
    first, second = several[0], next(clips for clips in by_speaker.values() if clips is not several[0])
    length = min(audio.shape[1] for audio in (*first[:2], second[0]))
    one, again, other = (audio[:, :length] for audio in (*first[:2], second[0]))
    assert similarity(one, one, 16000) == pytest.approx(1, abs=1e-5)
    assert similarity(one, again, 16000) > similarity(one, other, 16000) + 0.05
    with pytest.raises(MetricError, match="the reference is silent"):
        similarity(0 * one, one, 16000)


@needs("jiwer", "transformers")
def test_word_errors_are_counted_as_in_the_packages_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from codeclab.benchmarks.metrics.word_error_rate import words_wrong

    # jiwer's first example: "hello world" heard as "hello duck" is half wrong.
    assert words_wrong("Hello, world!", "hello duck") == 0.5
    assert words_wrong("a b c d", "a c d e") == 0.5
    with pytest.raises(MetricError, match="no word"):
        words_wrong("...", "word")
    write_recognizer(tmp_path)
    monkeypatch.setenv("CODECLAB_ASR", str(tmp_path))
    metric = METRICS["word_error_rate"].load()
    audio = torch.sin(torch.arange(8000) * 0.1)[None]
    assert metric(audio, audio, 8000) == 0
    assert metric(audio, torch.randn(1, 8000), 8000) > 0


def write_recognizer(folder: Path) -> None:
    """A recognizer with random weights that hears a letter in every frame."""
    import transformers

    torch.manual_seed(0)
    vocabulary = {"<pad>": 0, "|": 1, "A": 2, "B": 3, "C": 4, "<unk>": 5}
    (folder / "vocab.json").write_text(str(vocabulary).replace("'", '"'))
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    layers = {"conv_dim": [8, 8], "conv_stride": [20, 16], "conv_kernel": [20, 16], "num_conv_pos_embeddings": 16}
    sizes = {**small, **layers, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}
    config = transformers.Wav2Vec2Config(**sizes, vocab_size=6, pad_token_id=0)
    model = transformers.Wav2Vec2ForCTC(config)
    torch.nn.init.normal_(model.lm_head.weight, std=3)
    with torch.no_grad():
        model.lm_head.bias.copy_(torch.tensor([-50.0, 0, 0, 0, 0, -50]))
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16000).save_pretrained(folder)
    transformers.Wav2Vec2CTCTokenizer(folder / "vocab.json").save_pretrained(folder)


def test_utmos_is_given_mono_at_16_khz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's interface as it documents it, with a scorer that answers how much it was given."""
    given: list[Tensor] = []

    class Scorer:
        model = torch.nn.Linear(1, 1)

        def __init__(self, ckpt_path: str, device: str) -> None:
            assert (Path(ckpt_path).name, device) == ("weights.pt", "cpu")

        def score(self, wavs: Tensor) -> Tensor:
            given.append(wavs)
            return wavs.mean(dim=1)

    package = ModuleType("utmos_pytorch")
    package.UTMOSScoreTorch = Scorer  # type: ignore[attr-defined]
    package.__spec__ = find_spec("json")
    monkeypatch.setitem(sys.modules, "utmos_pytorch", package)
    monkeypatch.delenv("CODECLAB_UTMOS", raising=False)
    with pytest.raises(MetricMissingError, match="set CODECLAB_UTMOS to utmos_state_dict.pt of the hub's"):
        metrics_named(["utmos"])
    monkeypatch.setenv("CODECLAB_UTMOS", str(tmp_path / "weights.pt"))
    with pytest.raises(MetricMissingError, match="there is no such file"):
        metrics_named(["utmos"])
    torch.save(Scorer.model.state_dict(), tmp_path / "weights.pt")
    assert [metric.name for metric in metrics_named(["utmos"])] == ["utmos"]
    stereo = torch.stack([torch.full((8000,), 0.2), torch.linspace(0, 0.2, 8000)])
    assert METRICS["utmos"].load()(stereo, stereo, 8000) == pytest.approx(0.15, abs=0.005)
    assert given[0].shape == (1, 16000)


@needs("utmos_pytorch")
@OLD_PACKAGES
def test_utmos_through_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voices: list[Clip]) -> None:
    """With random weights: the score is the package's, and a file that lacks weights is refused."""
    package = import_module("utmos_pytorch")
    file = tmp_path / "weights.pt"
    torch.manual_seed(0)
    weights = import_module("utmos_pytorch.utmos_torch").UTMOSModel().state_dict()
    torch.save(weights, file)
    monkeypatch.setenv("CODECLAB_UTMOS", str(file))
    speech = voices[0].audio
    scorer = package.UTMOSScoreTorch(ckpt_path=str(file), device="cpu")
    with torch.no_grad():
        assert METRICS["utmos"].load()(speech, speech, 16000) == pytest.approx(float(scorer.score(speech)), rel=1e-5)
    fewer = tmp_path / "fewer.pt"
    torch.save({name: tensor for name, tensor in weights.items() if "rnn" not in name}, fewer)
    monkeypatch.setenv("CODECLAB_UTMOS", str(fewer))
    with pytest.raises(ValueError, match="fewer.pt lacks weights of UTMOS, such as .*rnn"):
        METRICS["utmos"].load()(speech, speech, 16000)


def test_each_is_refused_where_its_package_or_weights_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CODECLAB_ASR", "CODECLAB_FAD", "CODECLAB_UTMOS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("codeclab.benchmarks.metrics.optional.find_spec", lambda name: None)
    for metric in [metric for metric in METRICS.values() if metric.missing]:
        with pytest.raises(MetricMissingError, match=f"the metric {metric.name} cannot be computed here: .*install"):
            metrics_named([metric.name])
    monkeypatch.setattr("codeclab.benchmarks.metrics.optional.find_spec", lambda name: name)
    for name, message in (("frechet_audio_distance", "CODECLAB_FAD to a model"), ("word_error_rate", "CODECLAB_ASR")):
        with pytest.raises(MetricMissingError, match=message):
            metrics_named([name])
