"""Tensor names of DAC's released package as this package's."""

import re

from torch import Tensor

LAYERS_PER_BLOCK = 5
"""Three residual units, an activation and a strided convolution, in one order or the other."""


def dac_name(name: str, n_strides: int) -> str:
    """The name in ``Codec(DACEncoder, FactorizedVQ, DACDecoder).state_dict()`` of one in the reference's.

    Its encoder and decoder are lists of a convolution, blocks of five layers, an activation and a convolution; ours
    are the same layers in one list.

    Args:
        name: the reference's name.
        n_strides: how many changes of rate there are.
    """
    name = name.replace(".weight_g", ".parametrizations.weight.original0")
    name = name.replace(".weight_v", ".parametrizations.weight.original1")
    name = name.replace("quantizer.quantizers.", "quantizer.stages.")
    found = re.fullmatch(r"(encoder\.block|decoder\.model)\.(\d+)\.(?:block\.(\d+)\.)?(.+)", name)
    if found is None:
        return name
    stem, outer, inner, rest = found.groups()
    part = stem.partition(".")[0]
    layer = dac_layer(int(outer), None if inner is None else int(inner), n_strides)
    return f"{part}.layers.{layer}.{rest.replace('block.', 'body.')}"


def dac_layer(outer: int, inner: int | None, n_strides: int) -> int:
    """Our index of a layer: the reference's in its outer list, and in the block there (None outside blocks)."""
    if outer == 0:
        return 0
    if inner is not None:
        return 1 + LAYERS_PER_BLOCK * (outer - 1) + inner
    return LAYERS_PER_BLOCK * n_strides + outer - n_strides


def dac_tensors(tensors: dict[str, Tensor], n_strides: int) -> dict[str, Tensor]:
    """A reference model's state dict under our names."""
    return {dac_name(name, n_strides): tensor for name, tensor in tensors.items()}
