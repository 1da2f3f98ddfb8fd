"""This package's tensors under the names of ``transformers``' EncodecModel and DacModel."""

import re

import torch
from torch import Tensor

from codeclab.codecs.io.renaming import renamed

ENCODEC_REPLACED = (
    (".convolution.", ".conv."),
    (".body.", ".block."),
    (".skip.", ".shortcut."),
    ("quantizer.codebooks.", "quantizer.layers."),
    (".entries", ".codebook.embed"),
    (".sums", ".codebook.embed_avg"),
    (".counts", ".codebook.cluster_size"),
    (".updates", ".codebook.inited"),
)
"""Part of our name, and what stands there in EncodecModel's."""

CONVOLUTION = ".conv.weight"
"""How EncodecModel's names of convolutions' weights end."""

LENGTH = ".parametrizations.weight.original0"
DIRECTION = ".parametrizations.weight.original1"
"""How torch's weight norm, and so EncodecModel, calls the two tensors of ``.weight``."""

DAC_UNIT = ("snake1", "conv1", "snake2", "conv2")
"""DacModel's names of a residual unit's layers, in order."""

DAC_BLOCK = {
    "encoder": ("res_unit1", "res_unit2", "res_unit3", "snake1", "conv1"),
    "decoder": ("snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3"),
}
"""DacModel's names of a block's layers, in order."""


def length_and_direction(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The two tensors weight norm makes this weight of, bit for bit on a CPU.

    A channel without any weight has no direction: with zeros for one, weight norm would give 0 / 0.

    Args:
        weight: of a convolution; the first axis is that of the lengths.
    """
    # Its own norms, which are not rounded as torch.norm's are: their quotient in the weight is exactly 1.
    lengths = torch._weight_norm_interface(weight, weight.new_ones(len(weight), 1, 1), 0)[1].view(-1, 1, 1)
    return lengths, torch.where(lengths == 0, 1.0, weight)


def encodec_export_tensors(tensors: dict[str, Tensor], weight_normed: bool) -> dict[str, Tensor]:
    """EncodecModel's state dict of that of ``Codec(SEANetEncoder, ResidualVQ, SEANetDecoder)``.

    Args:
        tensors: with weight norm folded.
        weight_normed: whether EncodecModel normalises its convolutions' weights.
    """
    found = {}
    for own_name, tensor in tensors.items():
        name = renamed(own_name, ENCODEC_REPLACED)
        if name.endswith(".inited"):
            found[name] = (tensor > 0).float().reshape(1)  # a flag there, the number of updates here
        elif weight_normed and name.endswith(CONVOLUTION):
            stem = name.removesuffix(".weight")
            found[stem + LENGTH], found[stem + DIRECTION] = length_and_direction(tensor)
        else:
            found[name] = tensor
    return found


def dac_export_name(name: str, n_strides: int) -> str:
    """The name in DacModel's state dict of one in that of ``Codec(DACEncoder, FactorizedVQ, DACDecoder)``.

    Args:
        name: ours, with weight norm folded.
        n_strides: how many changes of rate there are.
    """
    match = re.fullmatch(r"(encoder|decoder)\.layers\.(\d+)\.(?:body\.(\d+)\.)?(\w+)", name)
    if match is None:
        return name.replace("quantizer.stages.", "quantizer.quantizers.")
    part, layer, within, tensor = match.groups()
    per_block = len(DAC_BLOCK[part])
    outer = {0: "conv1", per_block * n_strides + 1: "snake1", per_block * n_strides + 2: "conv2"}
    if int(layer) in outer:
        return f"{part}.{outer[int(layer)]}.{tensor}"
    block, position = divmod(int(layer) - 1, per_block)
    unit = "" if within is None else f"{DAC_UNIT[int(within)]}."
    return f"{part}.block.{block}.{DAC_BLOCK[part][position]}.{unit}{tensor}"
