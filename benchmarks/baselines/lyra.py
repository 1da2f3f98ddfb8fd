"""Lyra V2 (a SoundStream for speech), through LiteRT."""

import os
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from codeclab.benchmarks.baselines.base import Baseline, offered_rate, require
from codeclab.codecs.resample import resample, same_length

SAMPLE_RATE = 16000
FRAME = 320
BITS = 4
MOST_QUANTIZERS = 46
QUANTIZERS = {3.2: 16, 6.0: 30, 9.2: 46}
"""Quantizers of 4 bits by kbps, at 50 frames a second."""

ENCODER, QUANTIZER, DECODER = MODELS = ("soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite")
FOLDER_VARIABLE = "CODECLAB_LYRA"
RUNTIMES = ("ai_edge_litert", "tflite_runtime")


class LyraV2(Baseline):
    """Lyra V2 from its published models, at 3.2, 6 and 9.2 kbps: mono, 16 kHz, frames of 20 ms, no delay.

    Its features, residual vector quantizer and decoder are run frame by frame, as google/lyra (1.3) runs them.

    Args:
        folder: the folder ``lyra/model_coeffs`` of google/lyra; None reads the environment's ``CODECLAB_LYRA``.
    """

    name = "Lyra V2"
    sample_rate = SAMPLE_RATE
    channels = 1

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder or os.environ.get(FOLDER_VARIABLE)
        self.bitrates = list(QUANTIZERS)

    def available(self) -> str | None:
        """None, or the runtime or the models that are missing."""
        if _runtime() is None:
            return "Lyra V2 needs LiteRT: pip install 'codeclab[lyra]'"
        models = f"folder lyra/model_coeffs of github.com/google/lyra (Apache-2.0), with {', '.join(MODELS)}"
        if self.folder is None:
            return f"Lyra V2 needs its models: give `folder`, or set {FOLDER_VARIABLE}, to the {models}"
        missing = [model for model in MODELS if not (Path(self.folder) / model).is_file()]
        if missing:
            return f"Lyra V2's models: {', '.join(missing)} not in {self.folder}; it should be the {models}"
        return None

    def transcode(self, audio: Tensor, sample_rate: int, bitrate: float) -> tuple[Tensor, float]:
        """Encode and decode; see ``Baseline``. The kbps are nominal, as every frame costs the same."""
        require(self, audio, bitrate, most_channels=1)
        n_quantizers = QUANTIZERS[offered_rate(self, bitrate)]
        decoded = self.decode(self.encode(resample(audio, sample_rate, SAMPLE_RATE)[0], n_quantizers))
        kbps = n_quantizers * BITS * SAMPLE_RATE / FRAME / 1000
        return same_length(resample(decoded[None], SAMPLE_RATE, sample_rate), audio.shape[1]), kbps

    def encode(self, audio: Tensor, n_quantizers: int) -> Tensor:
        """Samples ``[N]`` at 16 kHz to codes ``int64 [46, T]``, those after ``n_quantizers`` -1."""
        features = self._load(ENCODER)
        argument, result = _ends(features)
        encode = self._quantizer.get_signature_runner("encode")
        codes = []
        for frame in pad(audio, (0, -audio.shape[0] % FRAME)).numpy().reshape(-1, 1, FRAME):
            features.set_tensor(argument, frame)
            features.invoke()
            output = encode(input_frames=features.get_tensor(result), num_quantizers=np.int32(n_quantizers))
            codes.append(output["output_0"].reshape(MOST_QUANTIZERS))
        return torch.from_numpy(np.stack(codes, axis=1).astype(np.int64))

    def decode(self, codes: Tensor) -> Tensor:
        """The output of ``encode`` to samples ``[320 T]`` at 16 kHz."""
        generator = self._load(DECODER)
        argument, result = _ends(generator)
        decode = self._quantizer.get_signature_runner("decode")
        frames: list[NDArray[np.float32]] = []
        for column in codes.to(torch.int32).numpy().T.reshape(-1, MOST_QUANTIZERS, 1, 1):
            generator.set_tensor(argument, decode(encoding_indices=column)["output_0"])
            generator.invoke()
            frames.append(generator.get_tensor(result)[0])
        return torch.from_numpy(np.concatenate(frames))

    @cached_property
    def _quantizer(self) -> Any:
        return self._load(QUANTIZER)

    def _load(self, model: str) -> Any:
        """A model as it begins: the only way to one, as LiteRT 2.3's ``reset_all_variables`` leaves its memory."""
        runtime = import_module(f"{_runtime()}.interpreter")
        loaded = runtime.Interpreter(str(Path(str(self.folder)) / model), num_threads=1)
        loaded.allocate_tensors()
        return loaded


def _runtime() -> str | None:
    return next((name for name in RUNTIMES if find_spec(name)), None)


def _ends(model: Any) -> tuple[int, int]:
    return model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
