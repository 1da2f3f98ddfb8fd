"""Codecs from the files that DAC's authors released (``weights.pth``)."""

import re
import warnings
from typing import Any

from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.io.published import dac_codec, filled
from codeclab.codecs.io.weights import OLDER_WEIGHT_NORM, renamed

LAYERS_PER_BLOCK = 5
"""Three residual units, an activation and a strided convolution, in one order or the other."""


def dac_name(name: str, n_strides: int) -> str:
    """The name in ``Codec(DACEncoder, FactorizedVQ, DACDecoder).state_dict()`` of a tensor of the reference.

    The reference's encoder and decoder are a convolution, blocks of five layers, an activation and a convolution. Ours
    are the same layers in one list.
    """
    name = renamed(name, (*OLDER_WEIGHT_NORM, ("quantizer.quantizers.", "quantizer.stages.")))
    match = re.fullmatch(r"(encoder\.block|decoder\.model)\.(\d+)\.(?:block\.(\d+)\.)?(.+)", name)
    if match is None:
        return name
    stem, outer, inner, rest = match.groups()
    part = stem.partition(".")[0]
    if inner is not None:
        layer = 1 + LAYERS_PER_BLOCK * (int(outer) - 1) + int(inner)
    else:  # the first convolution, or what follows the blocks
        layer = 0 if outer == "0" else LAYERS_PER_BLOCK * n_strides + int(outer) - n_strides
    return f"{part}.layers.{layer}.{rest.replace('block.', 'body.')}"


def dac_tensors(tensors: dict[str, Tensor], n_strides: int) -> dict[str, Tensor]:
    """A reference model's state dict by our names."""
    return {dac_name(name, n_strides): tensor for name, tensor in tensors.items()}


DEFAULTS: dict[str, Any] = {
    "encoder_dim": 64,
    "encoder_rates": [2, 4, 8, 8],
    "latent_dim": None,
    "decoder_dim": 1536,
    "decoder_rates": [8, 8, 4, 2],
    "n_codebooks": 9,
    "codebook_size": 1024,
    "codebook_dim": 8,
    "quantizer_dropout": False,
    "sample_rate": 44100,
}
"""Constructor arguments of the released model, with the released values of those that a file does not contain."""

LISTS = ("encoder_rates", "decoder_rates", "codebook_dim")

NUMBERS = tuple(name for name in DEFAULTS if name not in (*LISTS[:2], "quantizer_dropout"))


def is_original_dac(content: Any) -> bool:
    """Whether a file has the content of the released ``BaseModel.save``: ``state_dict`` and ``metadata``."""
    return isinstance(content, dict) and {"state_dict", "metadata"} <= content.keys()


def from_original_dac(content: dict[str, Any], source: str, for_training: bool) -> Codec:
    """A codec from the content of a ``weights.pth``.

    Args:
        content: ``{"state_dict": tensors, "metadata": {"kwargs": constructor arguments}}``.
        source: origin of the content, for messages.
        for_training: whether weight norm is kept (equal up to rounding).

    Raises:
        ValueError: an argument has a wrong type, or tensors do not fit the arguments; the message names them.
    """
    settings = _settings(content["metadata"], source)
    codec = dac_codec(
        settings["sample_rate"],
        settings["latent_dim"],
        settings["encoder_dim"],
        settings["decoder_dim"],
        settings["encoder_rates"],
        settings["decoder_rates"],
        (settings["n_codebooks"], settings["codebook_size"], settings["codebook_dim"]),
    )
    return filled(codec, dac_tensors(content["state_dict"], len(settings["encoder_rates"])), source, for_training)


def _settings(metadata: Any, source: str) -> dict[str, Any]:
    given = metadata.get("kwargs") if isinstance(metadata, dict) else None
    if not isinstance(given, dict):
        raise ValueError(f"the metadata of {source} should hold the constructor arguments as 'kwargs'; it is {given!r}")
    unknown = [str(name) for name in given if name not in DEFAULTS]
    if unknown:
        warnings.warn(
            f"{source} was made with {', '.join(unknown)}, which DAC does not take: left out, as released", stacklevel=3
        )
    settings = DEFAULTS | {name: value for name, value in given.items() if name in DEFAULTS}
    for name, value in settings.items():
        number = name in NUMBERS and (_is_size(value) or (name == "latent_dim" and value is None))
        listed = name in LISTS and isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_size, value))
        if not (number or listed or name == "quantizer_dropout"):
            right = "a list of positive whole numbers" if name in LISTS[:2] else "a positive whole number"
            raise ValueError(f"{name} in the metadata of {source} is {value!r}; it should be {right}")
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
