"""Tensor names of EnCodec's released package (and of AudioCraft's SEANet) as this package's."""

from torch import Tensor

from codeclab.codecs.renaming import renamed

REPLACED = (
    (".conv.conv.", ".convolution."),
    (".convtr.convtr.", ".convolution."),
    (".conv.norm.", ".norm."),
    (".convtr.norm.", ".norm."),
    (".block.", ".body."),
    (".shortcut.", ".skip."),
    ("coder.model.", "coder.layers."),
    ("quantizer.vq.layers.", "quantizer.codebooks."),
    ("._codebook.embed_avg", ".sums"),
    ("._codebook.embed", ".entries"),
    ("._codebook.cluster_size", ".counts"),
    ("._codebook.inited", ".updates"),
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
)
"""Part of a reference's name, and what stands there in ours; weight norm as torch's parametrization names it."""


def encodec_name(name: str) -> str:
    """The name in ``Codec(SEANetEncoder, ResidualVQ, SEANetDecoder).state_dict()`` of one in the reference's."""
    return renamed(name, REPLACED)


def encodec_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A reference model's state dict under our names; its flags "started" become our counts of updates, 0 or 1."""
    named = {encodec_name(name): tensor for name, tensor in tensors.items()}
    return {name: started_as_count(tensor) if name.endswith(".updates") else tensor for name, tensor in named.items()}


def started_as_count(started: Tensor) -> Tensor:
    """The reference's flag ``[1]`` that a codebook has been started, as our number of updates."""
    return started.squeeze().long()
