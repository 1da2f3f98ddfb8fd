"""Validation clips coded by the present codec, to listen to and to look at."""

import math
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning
import matplotlib
import numpy as np
import soundfile
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.files import replacing
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs.disk import why_unwritten
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.train.experiment_of import experiment_of
from codeclab.experiments.train.validation import spread_rates

N_FFT = 1024

COLUMNS, ROWS, GAP = 320, 256, 4

FLOOR_DB = 80.0
"""Decibels below the original's loudest point that are drawn black."""

SPAN_DB = 40.0
"""The difference in dB beyond which the colour of the third panel does not change."""


def levels(audio: Tensor) -> Tensor:
    """Level of ``[C, N]``'s mean over channels in dB, ``[ROWS, COLUMNS]``: lowest frequency first."""
    mono = audio.float().mean(0).cpu()
    mono = torch.nn.functional.pad(mono, (0, max(0, N_FFT - len(mono))))
    hop = max(len(mono) // COLUMNS, 1)
    power = torch.stft(mono, N_FFT, hop, window=torch.hann_window(N_FFT), return_complex=True).abs().square()
    return 10 * torch.log10(torch.nn.functional.adaptive_avg_pool2d(power[None], (ROWS, COLUMNS))[0] + 1e-12)


def spectrogram_image(original: Tensor, coded: Tensor) -> Any:
    """Original, reconstruction and their difference side by side, ``uint8 [ROWS, 3 * COLUMNS + 2 * GAP, 3]``.

    Time runs to the right and frequency, linear, from 0 Hz at the bottom to half the sampling rate. The third panel is
    red where the reconstruction is louder and blue where it is softer, white where they agree or both are silent.

    Args:
        original: original clip, ``[C, N]``.
        coded: its reconstruction, ``[C, N]``.
    """
    before, after = levels(original), levels(coded)
    top = float(before.max())
    before, after = (level.clamp(min=top - FLOOR_DB) for level in (before, after))
    heat, sign = matplotlib.colormaps["magma"], matplotlib.colormaps["RdBu_r"]
    panels = [
        heat(((before - top) / FLOOR_DB + 1).numpy()),
        heat(((after - top) / FLOOR_DB + 1).clamp(max=1).numpy()),
        sign(((after - before) / (2 * SPAN_DB) + 0.5).clamp(0, 1).numpy()),
    ]
    gap = np.ones((ROWS, GAP, 3))
    colours = [panel[::-1, :, :3] for panel in panels]
    return (np.concatenate([colours[0], gap, colours[1], gap, colours[2]], axis=1) * 255).astype(np.uint8)


OCCASIONS = 10
"""Most times that a run sends clips to W&B."""


class SaveSamples(Callback):
    """After each validation, writes a few clips under ``samples/``: the original once, the coded ones by batch.

    W&B gets the same clips at several bitrates with spectrograms, at most ``OCCASIONS`` times, the last at the end.

    Args:
        folder: folder of the run.
        clips: number of clips.
        every: batches between two validations.
        steps: batches of the whole run.
    """

    def __init__(self, folder: RunFolder | Path | str, clips: int = 3, every: int = 1, steps: int = 1) -> None:
        self.folder = folder if isinstance(folder, RunFolder) else RunFolder(Path(folder))
        self.clips = clips
        self.every = every
        self.steps = steps

    def is_due(self, step: int) -> bool:
        """Whether W&B gets clips after ``step`` batches: the same ones however often a run is continued."""
        spacing = math.ceil(max(self.steps // self.every, 1) / OCCASIONS)
        return step >= self.steps or step // self.every % spacing == 0

    @torch.no_grad()
    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the clips; ``NAME.original.flac`` and ``NAME.STEP.flac``."""
        data = getattr(trainer, "datamodule", None)
        if not trainer.is_global_zero or trainer.state.fn != "fit" or data is None or not data.corpus.valid:
            return
        try:
            self._write(trainer, pl_module, data)
        except (OSError, soundfile.SoundFileError) as error:
            why = why_unwritten(self.folder.samples, error)
            print(f"{self.folder.path.name}: clips cannot be written ({why}); training goes on", file=sys.stderr)

    def _write(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, data: AudioData) -> None:
        experiment = experiment_of(pl_module)
        codec, step = experiment.deployed_codec, trainer.global_step
        boards = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        media: dict[str, Any] = {}
        for clip in data.clips("valid")[: self.clips]:
            name = re.sub(r"[^\w.-]+", "_", clip.name)
            coded = code(codec, clip, experiment.main_codebooks)
            original = self.folder.samples / f"{name}.original.flac"
            if not original.is_file():
                write_audio(original, clip.audio, clip.sample_rate)
            write_audio(self.folder.samples / f"{name}.{step}.flac", coded, codec.sample_rate)
            if boards and self.is_due(step):
                media[f"samples/{name}/original"] = (clip.audio, None)
                for rate in spread_rates(codec.bitrates):
                    # A learnt rate moves, and its clips still belong together.
                    label = "learnt rate" if codec.quantizer.learns_rate else f"{rate:.3g}kbps"
                    decoded = code(codec, clip, codec.n_codebooks_for(rate))
                    media[f"samples/{name}/{label}"] = (decoded, clip.audio)
        for board in boards if media else []:
            log_media(board, media, codec.sample_rate, step)


def code(codec: Codec, clip: Clip, n_codebooks: int) -> Tensor:
    """A clip, encoded and decoded with so many codebooks, ``[C, N]`` on the CPU."""
    device = next(codec.parameters()).device
    return codec.decode(codec.encode(clip.audio[None].to(device), n_codebooks=n_codebooks))[0].cpu()


def log_media(logger: WandbLogger, media: dict[str, tuple[Tensor, Tensor | None]], sample_rate: int, step: int) -> None:
    """Send clips to W&B as audio and, where they have an original, as spectrograms beside it.

    Args:
        logger: W&B's logger.
        media: clips ``[C, N]`` by name, each with its original; None where it is the original.
        sample_rate: sampling rate in Hz.
        step: batches done.
    """
    import wandb

    with TemporaryDirectory() as folder:
        values: dict[str, Any] = {}
        for index, (name, (audio, original)) in enumerate(media.items()):
            path = Path(folder) / f"{index}.flac"
            write_audio(path, audio, sample_rate)
            values[name] = wandb.Audio(str(path), caption=name.partition("/")[2])
            if original is not None:
                caption = f"{name.partition('/')[2]}: original, coded, difference; 0 to {sample_rate / 2000:g} kHz"
                picture = wandb.Image(spectrogram_image(original, audio), caption=caption)
                values[name.replace("samples/", "spectrograms/", 1)] = picture
        logger.log_metrics(values, step)


def write_audio(path: Path, audio: Tensor, sample_rate: int) -> None:
    """Write ``[C, N]`` as 16-bit FLAC, whole or not at all; what exceeds full scale is clipped."""
    with replacing(path) as temporary:
        soundfile.write(temporary, audio.clamp(-1, 1).T.cpu().numpy(), sample_rate, format="FLAC")
