"""Tensor names of ``transformers``' EncodecModel and DacModel as this package's."""

import re

from torch import Tensor

from codeclab.codecs.dac_names import dac_layer
from codeclab.codecs.encodec_names import started_as_count
from codeclab.codecs.renaming import renamed

REPLACED = (
    (".conv.", ".convolution."),
    (".block.", ".body."),
    (".shortcut.", ".skip."),
    ("quantizer.layers.", "quantizer.codebooks."),
    (".codebook.embed_avg", ".sums"),
    (".codebook.embed", ".entries"),
    (".codebook.cluster_size", ".counts"),
    (".codebook.inited", ".updates"),
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
)
"""Part of EncodecModel's name, and what stands there in ours."""

UNIT_LAYERS = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
"""Places in a residual unit of DacModel."""

BLOCK_LAYERS = {
    "encoder": {"res_unit1": 0, "res_unit2": 1, "res_unit3": 2, "snake1": 3, "conv1": 4},
    "decoder": {"snake1": 0, "conv_t1": 1, "res_unit1": 2, "res_unit2": 3, "res_unit3": 4},
}
"""Places in a block of DacModel."""


def transformers_encodec_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """EncodecModel's state dict under the names of ``Codec(SEANetEncoder, ResidualVQ, SEANetDecoder)``."""
    named = {renamed(name, REPLACED): tensor for name, tensor in tensors.items()}
    return {name: started_as_count(tensor) if name.endswith(".updates") else tensor for name, tensor in named.items()}


def transformers_dac_name(name: str, n_strides: int) -> str:
    """The name in ``Codec(DACEncoder, FactorizedVQ, DACDecoder).state_dict()`` of one in DacModel's, if it is one.

    Args:
        name: DacModel's name.
        n_strides: how many changes of rate there are.
    """
    name = name.replace(".weight_g", ".parametrizations.weight.original0")
    name = name.replace(".weight_v", ".parametrizations.weight.original1")
    part, _, rest = name.partition(".")
    if part == "quantizer":
        return name.replace("quantizer.quantizers.", "quantizer.stages.")
    block = re.fullmatch(r"block\.(\d+)\.(\w+)\.(.+)", rest)
    if block is None:
        layer, _, tensor = rest.partition(".")
        outer = {"conv1": 0, "snake1": n_strides + 1, "conv2": n_strides + 2}.get(layer)
        return name if outer is None else f"{part}.layers.{dac_layer(outer, None, n_strides)}.{tensor}"
    number, layer, tensor = block.groups()
    unit, _, within = tensor.partition(".")
    known = BLOCK_LAYERS.get(part, {})
    if layer not in known or (layer.startswith("res_unit") and unit not in UNIT_LAYERS):
        return name
    if layer.startswith("res_unit"):
        tensor = f"body.{UNIT_LAYERS[unit]}.{within}"
    return f"{part}.layers.{dac_layer(int(number) + 1, known[layer], n_strides)}.{tensor}"


def transformers_dac_tensors(tensors: dict[str, Tensor], n_strides: int) -> dict[str, Tensor]:
    """DacModel's state dict under our names."""
    return {transformers_dac_name(name, n_strides): tensor for name, tensor in tensors.items()}
