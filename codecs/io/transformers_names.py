"""Names of this package's tensors and settings in ``transformers``' EncodecModel and DacModel."""

import re

import torch
from torch import Tensor

from codeclab.codecs.io.weights import DIRECTION, LENGTH, renamed

ENCODEC_SETTINGS = {
    "dimension": "hidden_size",
    "channels": "audio_channels",
    "n_filters": "num_filters",
    "n_residual_layers": "num_residual_layers",
    "dilation_base": "dilation_growth_rate",
    "kernel_size": "kernel_size",
    "last_kernel_size": "last_kernel_size",
    "residual_kernel_size": "residual_kernel_size",
    "compress": "compress",
    "lstm_layers": "num_lstm_layers",
    "causal": "use_causal_conv",
    "pad_mode": "pad_mode",
}
"""Names in EncodecModel of SEANet's arguments, which it has once for encoder and decoder."""

ENCODEC_NAMES = (
    (".convolution.", ".conv."),
    (".body.", ".block."),
    (".skip.", ".shortcut."),
    ("quantizer.codebooks.", "quantizer.layers."),
    (".entries", ".codebook.embed"),
    (".sums", ".codebook.embed_avg"),
    (".counts", ".codebook.cluster_size"),
    (".updates", ".codebook.inited"),
)
"""Parts of this package's names, and what stands there in EncodecModel's."""

CONVOLUTION = ".conv.weight"
"""Suffix of the names of convolutions' weights in EncodecModel."""

DAC_UNIT = ("snake1", "conv1", "snake2", "conv2")
"""DacModel's names of a residual unit's layers, in order."""

DAC_BLOCK = {
    "encoder": ("res_unit1", "res_unit2", "res_unit3", "snake1", "conv1"),
    "decoder": ("snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3"),
}
"""DacModel's names of a block's layers, in order."""


def length_and_direction(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The two tensors from which weight norm computes exactly this weight on a CPU.

    A row of zeros has no direction; it gets ones, because weight norm would compute 0 / 0.

    Args:
        weight: weight of a convolution, whose rows along the first axis are normalized.
    """
    # Use weight norm's own norms, which round differently from torch.norm's: length over norm is then exactly 1.
    lengths = torch._weight_norm_interface(weight, weight.new_ones(len(weight), 1, 1), 0)[1].view(-1, 1, 1)
    return lengths, torch.where(lengths == 0, 1.0, weight)


def encodec_export_tensors(tensors: dict[str, Tensor], weight_normed: bool) -> dict[str, Tensor]:
    """EncodecModel's state dict from that of ``Codec(SEANetEncoder, ResidualVQ, SEANetDecoder)``.

    Args:
        tensors: state dict with weight norm folded.
        weight_normed: whether EncodecModel's convolutions have weight norm.
    """
    exported = {}
    for own_name, tensor in tensors.items():
        name = renamed(own_name, ENCODEC_NAMES)
        if name.endswith(".inited"):
            exported[name] = (tensor > 0).float().reshape(1)  # a flag there, the number of updates here
        elif weight_normed and name.endswith(CONVOLUTION):
            stem = name.removesuffix(".weight")
            exported[stem + LENGTH], exported[stem + DIRECTION] = length_and_direction(tensor)
        else:
            exported[name] = tensor
    return exported


def dac_export_name(name: str, n_strides: int) -> str:
    """The name in DacModel of a tensor of ``Codec(DACEncoder, FactorizedVQ, DACDecoder)``."""
    match = re.fullmatch(r"(encoder|decoder)\.layers\.(\d+)\.(?:body\.(\d+)\.)?(.+)", name)
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
