"""The experiment under a plain ``lightning.Trainer``: nothing of the command line is in these tests."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from codeclab.codecs.codec import Codec
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.discriminators.msstft import MSSTFTDiscriminator
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.recording import DataError
from codeclab.experiments.runs.checkpoint import AtomicCheckpointIO, RunCheckpoint
from codeclab.experiments.runs.loggers import SaveMetrics
from codeclab.experiments.runs.samples import SaveSamples
from codeclab.experiments.train.balancer import Balancer
from codeclab.experiments.train.losses.mel import MultiScaleMelLoss
from codeclab.experiments.train.losses.waveform import WaveformL1
from codeclab.experiments.train.measured_clips import measured_clips
from codeclab.experiments.train.module import CodecExperiment
from codeclab.experiments.train.rate_sampling import PerBatchBandwidth
from codeclab.experiments.train.settings import LossWeights, OptimizerSettings
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.residual_vq import ResidualVQ

RATE = 8000


def experiment(**more: Any) -> CodecExperiment:
    torch.manual_seed(0)
    strides = [4, 4]
    arguments: dict[str, Any] = {
        "encoder": SEANetEncoder(8, n_filters=2, strides=strides, lstm_layers=0),
        "quantizer": ResidualVQ(8, 2, 16),
        "decoder": SEANetDecoder(8, n_filters=2, strides=strides, lstm_layers=0),
        "sample_rate": RATE,
        "discriminators": [MSSTFTDiscriminator(n_filters=2, n_ffts=[64])],
        "waveform_loss": WaveformL1(),
        "weights": LossWeights(waveform=1.0, spectral=0.0),
        "balancer": Balancer(),
        "rate_sampling": PerBatchBandwidth([2.0, 4.0]),
        "optimizer": OptimizerSettings(lr=1e-3, decay=0.9),
        "discriminator_probability": 0.5,
    }
    return CodecExperiment(**arguments | more)


def data() -> AudioData:
    return AudioData(
        sample_rate=RATE, seconds=0.1, batch_size=2, n_batches=4, workers=0, valid_clips=2, clip_seconds=0.25
    )


class LearntLoss(WaveformL1):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"waveform_loss": LearntLoss()}, "waveform_loss LearntLoss has parameters that would learn"),
        (
            {"spectral_loss": MultiScaleMelLoss(16000, [64], 4), "weights": LossWeights(spectral=1.0)},
            "spectral_loss MultiScaleMelLoss is for audio at 16000 Hz, and the codec's has 8000 Hz",
        ),
        (
            {"balancer": Balancer(per_item=False), "accumulate": 2, "update_order": "joint"},
            "accumulate 2 needs a balancer with per_item true",
        ),
    ],
)
def test_what_could_not_be_trained_as_said_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        experiment(**more)


def test_data_at_another_sampling_rate_is_refused(tmp_path: Path) -> None:
    trainer = lightning.Trainer(max_steps=1, accelerator="cpu", logger=False, default_root_dir=tmp_path)
    other = data()
    other.sample_rate = 16000
    with pytest.raises(ValueError, match="the data is read at 16000 Hz, and the codec is for 8000 Hz"):
        trainer.fit(experiment(), other)


class Batches(lightning.Callback):
    """Keeps the audio of every training batch."""

    def __init__(self) -> None:
        self.audio: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.audio.append((batch["audio"] if isinstance(batch, dict) else batch).clone())


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., lightning.Trainer]:
    """``trainer(steps, callbacks)``: a plain one, on the CPU."""

    def made(steps: int, *callbacks: lightning.Callback, **more: Any) -> lightning.Trainer:
        options: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False}
        options |= {"enable_checkpointing": False, "enable_model_summary": False, "log_every_n_steps": 1}
        options |= {"limit_val_batches": 0, "default_root_dir": str(tmp_path), "max_epochs": -1}
        return lightning.Trainer(max_steps=steps, callbacks=list(callbacks), **options | more)

    return made


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:You defined a `validation_step` but have no",
    "ignore:You're resuming from a checkpoint that ended before",
)


@pytest.mark.parametrize(("n_batches", "more"), [(None, {"limit_train_batches": 2}), (2, {}), (3, {})])
def test_an_epoch_goes_on_where_the_one_before_ended(
    trainer: Callable[..., lightning.Trainer], n_batches: int | None, more: dict[str, Any]
) -> None:
    """Its batches have numbers of their own, by which schedules go."""
    whole, cut = Batches(), Batches()
    straight, in_epochs = experiment(quantizer_start=3), experiment(quantizer_start=3)
    module = data()
    module.n_batches = 5
    trainer(5, whole).fit(straight, module)
    module = data()
    module.n_batches = n_batches
    trainer(5, cut, **more).fit(in_epochs, module)
    assert len(cut.audio) == 5
    assert all(torch.equal(a, b) for a, b in zip(whole.audio, cut.audio, strict=True))
    for one, other in zip(straight.parameters(), in_epochs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_repeating_batches_is_refused(trainer: Callable[..., lightning.Trainer]) -> None:
    with pytest.raises(DataError, match="overfit_batches repeats batches, and AudioData draws each anew"):
        trainer(5, overfit_batches=2).fit(experiment(), data())


def test_a_checkpoint_goes_on_with_the_next_batch(trainer: Callable[..., lightning.Trainer], tmp_path: Path) -> None:
    whole, first, rest = Batches(), Batches(), Batches()
    straight = experiment()
    trainer(4, whole).fit(straight, data())

    begun = trainer(4, first)
    begun.fit_loop.epoch_loop.max_steps = 2
    begun.fit(experiment(), data())
    begun.save_checkpoint(tmp_path / "half.ckpt")
    continued = experiment()
    module = data()
    trainer(4, rest).fit(continued, module, ckpt_path=tmp_path / "half.ckpt")

    assert len(whole.audio) == 4
    assert [len(batches.audio) for batches in (first, rest)] == [2, 2]
    for expected, result in zip(whole.audio, [*first.audio, *rest.audio], strict=True):
        assert torch.equal(expected, result)
    for name, value in straight.state_dict().items():
        result = continued.state_dict()[name]
        assert result == value if isinstance(value, dict) else torch.equal(result, value), name
    assert module.start_batch == 0  # the next training begins anew


@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")
def test_checkpoints_after_a_validation_have_their_own_step(
    trainer: Callable[..., lightning.Trainer], tmp_path: Path
) -> None:
    every_step = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, every_n_train_steps=1)
    options = {"enable_checkpointing": True, "limit_val_batches": 1}
    trainer(4, every_step, val_check_interval=2, check_val_every_n_epoch=None, **options).fit(experiment(), data())
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {f"step={step}.ckpt" for step in (1, 2, 3, 4)}
    assert torch.load(tmp_path / "step=3.ckpt", weights_only=True)["global_step"] == 3


def test_an_experiment_is_loaded_from_its_checkpoint_alone(
    trainer: Callable[..., lightning.Trainer], tmp_path: Path
) -> None:
    trained = experiment(average_decay=0.9, discriminator_optimizer=OptimizerSettings(name="AdamW"))
    fitted = trainer(2)
    fitted.fit(trained, data())
    fitted.save_checkpoint(tmp_path / "a.ckpt")
    torch.load(tmp_path / "a.ckpt", weights_only=True)
    loaded = CodecExperiment.load_from_checkpoint(tmp_path / "a.ckpt")
    assert loaded.optimizer_settings == trained.optimizer_settings
    assert loaded.weights == trained.weights
    assert loaded.seed == trained.seed
    audio = torch.randn(1, 1, 800, generator=torch.Generator().manual_seed(1))
    expected, result = trained.deployed_codec.eval(), loaded.deployed_codec.eval()
    assert torch.equal(expected.decode(expected.encode(audio)), result.decode(result.encode(audio)))
    loaded.train()
    trainer(4).fit(loaded, data(), ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    assert CodecExperiment.load_from_checkpoint(tmp_path / "a.ckpt", seed=7).seed == 7


class Forgetful(MSSTFTDiscriminator):
    """Does not keep its argument."""

    def __init__(self, width: int = 2) -> None:
        super().__init__(n_filters=width, n_ffts=[64])


def test_what_a_checkpoint_cannot_hold_is_asked_for(trainer: Callable[..., lightning.Trainer], tmp_path: Path) -> None:
    fitted = trainer(1)
    fitted.fit(experiment(discriminators=[Forgetful()]), data())
    fitted.save_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="how discriminators was built: Forgetful keeps its argument 'width' in no"):
        CodecExperiment.load_from_checkpoint(tmp_path / "a.ckpt")
    assert CodecExperiment.load_from_checkpoint(tmp_path / "a.ckpt", discriminators=[Forgetful()]).discriminators
    torch.save({"state_dict": {}}, tmp_path / "old.ckpt")
    with pytest.raises(ValueError, match=r"old.ckpt does not hold what it was built from"):
        CodecExperiment.load_from_checkpoint(tmp_path / "old.ckpt")


@pytest.mark.parametrize("wrap", [False, True])
def test_an_ordinary_loader_of_tensors_trains_and_validates(
    wrap: bool, trainer: Callable[..., lightning.Trainer]
) -> None:
    audio = 0.1 * torch.randn(8, 1, 2400, generator=torch.Generator().manual_seed(0))
    loader: DataLoader[Any] = DataLoader(TensorDataset(audio) if wrap else audio, batch_size=2)  # type: ignore[arg-type]
    fitted = trainer(3, limit_val_batches=1, val_check_interval=3, num_sanity_val_steps=0, check_val_every_n_epoch=None)
    model = experiment(quantizer_start=1, quantizer_start_frames=60)
    before = {name: value.clone() for name, value in model.codec.named_parameters()}
    fitted.fit(model, loader, loader)
    assert fitted.global_step == 3
    assert all(not torch.equal(before[name], value) for name, value in model.codec.named_parameters())
    assert {"valid/mel_distance", "valid/si_snr@lowest"} <= fitted.callback_metrics.keys()


@pytest.mark.parametrize("validated", [True, False])
def test_an_ordinary_loader_measures_a_learnt_rate(
    validated: bool, trainer: Callable[..., lightning.Trainer], tmp_path: Path
) -> None:
    audio = 0.1 * torch.randn(6, 1, 2400, generator=torch.Generator().manual_seed(0))
    train, valid = (DataLoader(part, batch_size=2) for part in (audio[:4], audio[2:]))  # type: ignore[arg-type]
    quantizer = GumbelSoftmax(8, 2, 16, target_bitrate=0.5, frame_rate=RATE / 16)
    quantizer.prior_logits.data.normal_(generator=torch.Generator().manual_seed(0))
    options: dict[str, Any] = {"limit_val_batches": int(validated), "val_check_interval": 2}
    options |= {"num_sanity_val_steps": 0, "check_val_every_n_epoch": None, "plugins": [AtomicCheckpointIO()]}
    model = experiment(quantizer=quantizer, rate_sampling=None, bitrates=None)
    nominal = model.codec.bitrates
    fitted = trainer(2, RunCheckpoint(tmp_path), **options)
    fitted.fit(model, train, valid)
    codec = Codec.from_pretrained(tmp_path)
    assert codec.bitrates != nominal
    measured = audio[2:4] if validated else audio[:4]
    assert codec.bitrates == [pytest.approx(codec.measure_rate(clip[None] for clip in measured))]
    assert ("valid/bitrate" in fitted.callback_metrics) == validated


def test_what_is_measured_of_a_loader(caplog: pytest.LogCaptureFixture) -> None:
    batches = [{"audio": torch.ones(2, 1, 6), "length": torch.tensor([6, 4])}, torch.ones(1, 1, 5)]
    two: Any = SimpleNamespace(world_size=1, val_dataloaders=[batches, batches], num_val_batches=[float("inf"), 1])
    assert [clip.shape for clip in measured_clips(two, "valid", 1)] == [(1, 1, n) for n in (6, 4, 5, 6, 4)]
    none: Any = SimpleNamespace(world_size=1, test_dataloaders=None, num_test_batches=[])
    assert list(measured_clips(none, "test", 1)) == []
    several: Any = SimpleNamespace(world_size=2, val_dataloaders=batches, num_val_batches=[1])
    for _ in range(2):
        assert list(measured_clips(several, "valid", 1)) == []
    assert [record.message for record in caplog.records] == [
        "a learnt rate is not measured on several devices without AudioData: train it on one"
    ]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.zeros(2, 800), r"a batch should be audio \[B, 1, N\] .* not a torch.float32 tensor of shape \[2, 800\]"),
        (torch.zeros(2, 2, 800), r"of shape \[2, 2, 800\]"),
        (torch.zeros(2, 1, 800, dtype=torch.int16), "not a torch.int16 tensor"),
        ({"wave": torch.zeros(2, 1, 800)}, "or a mapping that holds it as 'audio', not dict"),
    ],
)
def test_another_batch_is_refused_in_one_sentence(
    batch: Any, message: str, trainer: Callable[..., lightning.Trainer]
) -> None:
    with pytest.raises(TypeError, match=message):
        trainer(1).fit(experiment(), DataLoader([batch], batch_size=None))  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_callbacks_keep_the_best_codec_clips_and_figures(
    trainer: Callable[..., lightning.Trainer], tmp_path: Path
) -> None:
    run = tmp_path / "mine"
    options: dict[str, Any] = {"limit_val_batches": 1, "val_check_interval": 2, "check_val_every_n_epoch": None}
    options |= {"num_sanity_val_steps": 0, "plugins": [AtomicCheckpointIO()]}

    def callbacks() -> list[lightning.Callback]:
        return [RunCheckpoint(run), SaveMetrics(run), SaveSamples(run, clips=1, every=2, steps=4)]

    trainer(2, *callbacks(), **options).fit(experiment(), data())
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert Codec.from_pretrained(run).sample_rate == RATE
    assert len(list((run / "samples").iterdir())) == 2
    figures = pd.read_csv(run / "metrics.csv")
    assert {"step", "train/waveform", "valid/mel_distance"} <= set(figures.columns)
    trainer(4, *callbacks(), **options).fit(experiment(), data(), ckpt_path=run / "checkpoints" / "last.ckpt")
    assert list(pd.read_csv(run / "metrics.csv").query("`train/waveform`.notna()")["step"]) == [1, 2, 3, 4]


def test_a_spectral_loss_is_rebuilt_too(trainer: Callable[..., lightning.Trainer], tmp_path: Path) -> None:
    loss = MultiScaleMelLoss(sample_rate=RATE)
    fitted = trainer(1)
    fitted.fit(experiment(spectral_loss=loss, weights=LossWeights(spectral=1.0)), data())
    fitted.save_checkpoint(tmp_path / "a.ckpt")
    result = CodecExperiment.load_from_checkpoint(tmp_path / "a.ckpt").spectral_loss
    assert type(result) is MultiScaleMelLoss
    assert result.sample_rate == RATE
