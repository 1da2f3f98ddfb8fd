"""The folder of the frequencies and the language model that were fitted to a codec's codes."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.io.files import replacing, write_atomically
from codeclab.codecs.io.folder import identity

CONFIG = "language_model.json"
TENSORS = "language_model.safetensors"
FORMAT_VERSION = 1
COUNTS = "counts"
ARGUMENTS = ("n_codebooks", "codebook_size", "dimension", "n_layers", "n_heads", "feedforward", "context")


@dataclass
class FittedModel:
    """A language model and frequencies, fitted to a codec's codes.

    Attributes:
        model: language model trained on the codec's codes.
        counts: number of times that each entry of each codebook occurred, ``int64 [K, size]``.
    """

    model: LanguageModel
    counts: NDArray[np.int64]


def save_fitted(fitted: FittedModel, folder: Path, codec: Codec) -> None:
    """Write a model and frequencies; each of the two files is written atomically.

    Args:
        fitted: model and frequencies.
        folder: folder of the two files, created if missing.
        codec: codec of the codes.
    """
    arguments = {name: getattr(fitted.model, name) for name in ARGUMENTS}
    config = {"format_version": FORMAT_VERSION, "codec": identity(codec), "arguments": arguments}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in fitted.model.state_dict().items()}
    with replacing(folder / TENSORS) as temporary:
        save_file(tensors | {COUNTS: torch.from_numpy(fitted.counts)}, temporary, {"format": "pt"})
    write_atomically(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def load_fitted(folder: Path, codec: Codec) -> FittedModel:
    """Read a folder of ``save_fitted``.

    Args:
        folder: folder of the two files.
        codec: codec whose codes the model must have been fitted to.

    Raises:
        ValueError: the model is of another codec, or cannot be read; the message says which.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["format_version"] > FORMAT_VERSION:
            raise ValueError(f"it is of version {config['format_version']}; upgrade codeclab")
        if config["codec"] != identity(codec):
            raise ValueError(f"it was fitted to another codec ({config['codec']}); this one is {identity(codec)}")
        model = LanguageModel(**{name: int(config["arguments"][name]) for name in ARGUMENTS})
        tensors = load_file(folder / TENSORS)
        counts = tensors.pop(COUNTS).numpy()
        model.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        why = f"{CONFIG} or {TENSORS} lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{folder} holds no language model of this codec: {why}") from error
    return FittedModel(model.eval(), counts)
