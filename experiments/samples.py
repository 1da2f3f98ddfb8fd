"""Validation clips to listen to, as the codec of the moment gives them."""

import re
from pathlib import Path

import lightning
import soundfile
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from codeclab.experiments.run_folder import RunFolder
from codeclab.experiments.validation import Validation


class SaveSamples(Callback):
    """After each validation, writes a few clips under ``samples/``: the original once, the coded ones by batch.

    Args:
        folder: the run.
        clips: how many clips.
    """

    def __init__(self, folder: RunFolder, clips: int = 3) -> None:
        self.folder = folder
        self.clips = clips

    @torch.no_grad()
    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the clips; ``NAME.original.flac`` and ``NAME.STEP.flac``."""
        data = getattr(trainer, "datamodule", None)
        if not trainer.is_global_zero or trainer.state.fn != "fit" or data is None or not data.corpus.valid:
            return
        assert isinstance(pl_module, Validation)
        codec = pl_module.deployed_codec
        clips = data.clips("valid")
        for index in range(min(self.clips, len(clips))):
            clip = clips[index]
            name = re.sub(r"[^\w.-]+", "_", clip.name)
            audio = clip.audio[None].to(pl_module.device)
            coded = codec.decode(codec.encode(audio, n_codebooks=pl_module.main_codebooks))[0]
            original = self.folder.samples / f"{name}.original.flac"
            if not original.is_file():
                write_audio(original, clip.audio, clip.sample_rate)
            write_audio(self.folder.samples / f"{name}.{trainer.global_step}.flac", coded, codec.sample_rate)


def write_audio(path: Path, audio: Tensor, sample_rate: int) -> None:
    """Write ``[C, N]`` as 16-bit FLAC; what exceeds full scale is clipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.clamp(-1, 1).T.cpu().numpy(), sample_rate, format="FLAC")
