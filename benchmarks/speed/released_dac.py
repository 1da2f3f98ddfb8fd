"""A training step of the released DAC: ``train_loop`` of ``scripts/train.py``, in a checkout of descript-audio-codec.

Models, losses and the loop are the checkout's own, and none of its code is kept here. Only the batch is made up; it
stays in memory, and the loader with its loudness and phase transforms is left out.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from codeclab.codecs.io.python_file import run_file

WEIGHTS = {
    "mel/loss": 15.0,
    "adv/feat_loss": 2.0,
    "adv/gen_loss": 1.0,
    "vq/commitment_loss": 0.25,
    "vq/codebook_loss": 1.0,
}
"""Weights of the losses, as in its ``conf/base.yml``."""

SAMPLE_RATE = 44100


def released_step(
    checkout: Path, batch: int, seconds: float, sizes: Mapping[str, Mapping[str, Any]]
) -> Callable[[], object]:
    """One call is one training step, in float32 on the GPU where there is one.

    Args:
        checkout: the folder of descript-audio-codec.
        batch: number of items.
        seconds: duration of an item in seconds.
        sizes: arguments of its networks other than the defaults, such as ``{"DAC": {"encoder_dim": 16}}``.

    Raises:
        FileNotFoundError: there is no checkout.
        ImportError: a package that it needs is not here.
    """
    if not (checkout / "scripts" / "train.py").is_file():
        raise FileNotFoundError(f"no checkout of descript-audio-codec at {checkout}")
    # What is installed comes first: a checkout's folder of packages may hold others for another Python.
    sys.path += [str(checkout), *([str(checkout.parent / "site")] if (checkout.parent / "site").is_dir() else [])]
    tuned = torch.backends.cudnn.benchmark
    train = run_file(checkout / "scripts" / "train.py", "released_dac_train")
    theirs, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, tuned  # which the script sets for all
    dac, audiotools = import_module("dac"), import_module("audiotools")
    accelerator = audiotools.ml.Accelerator()
    generator = accelerator.prepare_model(dac.DAC(quantizer_dropout=1.0, **sizes.get("DAC", {})))
    discriminator = accelerator.prepare_model(dac.model.Discriminator(**sizes.get("Discriminator", {})))
    state = SimpleNamespace(
        generator=generator,
        discriminator=discriminator,
        **_optimizers("g", generator),
        **_optimizers("d", discriminator),
        stft_loss=dac.nn.loss.MultiScaleSTFTLoss(),
        mel_loss=_mel_loss(dac.nn.loss),
        waveform_loss=dac.nn.loss.L1Loss(),
        gan_loss=dac.nn.loss.GANLoss(discriminator),
        train_data=SimpleNamespace(transform=lambda signal, **unused: signal),
    )
    noise = torch.Generator().manual_seed(0)
    audio = 0.1 * torch.randn(batch, 1, round(seconds * SAMPLE_RATE), generator=noise)
    items = {
        "signal": audiotools.AudioSignal(audio, SAMPLE_RATE).to(accelerator.device),
        "transform_args": {"unused": torch.zeros(1)},
    }

    def step() -> None:
        with torch.backends.cudnn.flags(benchmark=theirs, allow_tf32=torch.backends.cudnn.allow_tf32):
            train.train_loop(state, items, accelerator, WEIGHTS)

    return step


def _optimizers(player: str, network: torch.nn.Module) -> dict[str, Any]:
    """The optimizer of a player and its schedule, with the settings of ``conf/base.yml``."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.8, 0.99))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.999996)
    return {f"optimizer_{player}": optimizer, f"scheduler_{player}": schedule}


def _mel_loss(losses: ModuleType) -> Any:
    """The mel loss with the settings of ``conf/base.yml``."""
    return losses.MelSpectrogramLoss(
        n_mels=[5, 10, 20, 40, 80, 160, 320],
        window_lengths=[32, 64, 128, 256, 512, 1024, 2048],
        mel_fmin=[0] * 7,
        mel_fmax=[None] * 7,
        pow=1.0,
        clamp_eps=1e-5,
        mag_weight=0.0,
    )
