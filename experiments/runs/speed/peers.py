"""Adapters for timing this suite beside other codebases in one run (the peers' harness calls them by file and name).

    bench_infer.py --impl encodec24 --impl file:experiments/runs/speed/peers.py:coder,recipe=encodec_24khz,…
    bench_ecdc.py --impl ecdc24 --impl file:experiments/runs/speed/peers.py:files@.venv/bin/python
    bench_train.py --impl dac-small --impl file:experiments/runs/speed/peers.py:step,recipe=dac_44khz,…

An adapter has ``phases`` (name -> function of no arguments) and ``audio_seconds``, what one call works on; that of
training steps also has ``take_parts``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from codeclab.codecs.blocks import decode_blocks
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.coders import PackedCoder
from codeclab.codecs.entropy.container_reader import ContainerReader
from codeclab.codecs.entropy.container_writer import ContainerWriter
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.entropy.model_coder import ModelCoder
from codeclab.codecs.memory import keep_freed_memory
from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.speed.step_time import time_batches
from codeclab.experiments.train.profiling import Parts, profile


class CodecAndNoise:
    """A codec, and noise for it.

    Args:
        options: ``codec`` (a saved one), or ``recipe`` (untrained); ``seconds``.
        seconds: length of the noise, s, where the options give none.
    """

    def __init__(self, options: dict[str, Any], seconds: float) -> None:
        torch.manual_seed(0)
        if "codec" in options:
            self.codec = Codec.from_pretrained(str(options["codec"]))
        else:
            self.codec = Codec.from_recipe(str(options.get("recipe", "encodec_24khz"))).eval()
        self.audio_seconds = float(options.get("seconds", seconds))
        samples = round(self.audio_seconds * self.codec.sample_rate)
        self.audio = 0.1 * torch.randn(1, self.codec.channels, samples)
        self.phases: dict[str, Callable[[], None]] = {}


class Coder(CodecAndNoise):
    """Encodes and decodes noise.

    Args:
        options: ``codec`` or ``recipe``, ``seconds`` (default 10), ``bitrate`` (kbps, default the highest),
            ``precision`` (``f32``, the default, or ``bf16``).
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options, 10)
        if options.get("precision") == "bf16":
            self.codec.to_bf16()
        self.bitrate = float(options["bitrate"]) if "bitrate" in options else None
        self.phases = {"encode": self.encode, "decode": self.decode}
        self.encode()

    def encode(self) -> None:
        """Audio to codes."""
        self.codes = self.codec.encode(self.audio, bitrate=self.bitrate)

    def decode(self) -> None:
        """Codes to audio."""
        self.codec.decode(self.codes)


class FilesOfCodes(CodecAndNoise):
    """Noise to the bytes of a ``.clc`` file and back, as the commands do, without and with a language model.

    The model is untrained and of EnCodec's size.

    Args:
        options: ``codec`` or ``recipe``, ``seconds`` (default 4), ``bitrate`` (kbps, default 6).
    """

    def __init__(self, options: dict[str, Any]) -> None:
        keep_freed_memory()
        super().__init__(options, 4)
        self.n_codebooks = self.codec.n_codebooks_for(float(options.get("bitrate", 6)))
        sizes = self.codec.quantizer.codebook_sizes
        self.coders = {"": PackedCoder(sizes), "_lm": ModelCoder(LanguageModel(self.n_codebooks, sizes[0]).eval())}
        self.written: dict[str, bytes] = {}
        for name in self.coders:
            self.phases["compress" + name] = partial(self.compress, name)
            self.phases["decompress" + name] = partial(self.decompress, name)
            self.compress(name)

    def compress(self, name: str) -> None:
        """Audio to the bytes of a file."""
        writer = ContainerWriter(self.codec, self.n_codebooks, self.coders[name])
        coded = writer.push(self.codec.encode(self.audio, n_codebooks=self.n_codebooks))
        self.written[name] = coded + writer.finish()

    def decompress(self, name: str) -> None:
        """The bytes to audio."""
        reader = ContainerReader(self.codec, lambda _: self.coders[name])
        pieces = reader.feed(self.written[name]) + reader.finish()
        samples = sum(audio.shape[-1] for audio in decode_blocks(self.codec, (piece.codes for piece in pieces)))
        assert samples == self.audio.shape[-1]


class TrainingStep:
    """Whole training steps of a recipe, each with the reading of its batch; one for each call.

    A trainer makes the first batch, which starts optimizers and codebooks; the calls go on with the next.

    Args:
        options: ``recipe``, ``batch``, ``seconds``; whatever has a dot in its name is a flag of ``codeclab fit``.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        keep_freed_memory()
        batch, seconds = str(options.get("batch", 2)), str(options.get("seconds", 0.38))
        self.audio_seconds = int(batch) * float(seconds)
        words = ["--config", options.get("recipe", "dac_44khz"), "--data.batch_size", batch, "--data.seconds", seconds]
        words += [word for name, value in options.items() if "." in name for word in (f"--{name}", str(value))]
        cli = build("fit", [*words, "--data.workers", "0", "--trainer.accelerator", "cpu", "--dry-run"])
        time_batches(cli, 1)
        self._strategy = cli.model.trainer.strategy
        self._batches = cli.datamodule.batches(1)
        self._parts = Parts()
        self.phases: dict[str, Callable[[], None]] = {"step": self.step}

    def step(self) -> None:
        """One batch for both players."""
        self._parts.start()
        try:
            with profile("data"):
                batch = next(self._batches)
            self._strategy.training_step(batch, 0)
        finally:
            self._parts.stop()

    def take_parts(self) -> dict[str, float]:
        """Seconds by part of the batch since they were last requested."""
        return self._parts.take()


coder, files, step = Coder, FilesOfCodes, TrainingStep
"""The adapters by the names that the harness is given."""
