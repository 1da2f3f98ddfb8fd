"""Tensor names of the language model of EnCodec's released package (``LMModel``) as this package's."""

from torch import Tensor

from codeclab.codecs.io.renaming import renamed

REPLACED = (
    ("emb.", "embeddings."),
    ("linears.", "outputs."),
    ("transformer.norm_in.", "input_norm."),
    ("transformer.layers.", "layers."),
    (".self_attn.", ".attention."),
    (".linear1.", ".expand."),
    (".linear2.", ".contract."),
    (".norm1.", ".attention_norm."),
    (".norm2.", ".feedforward_norm."),
)
"""Part of a reference's name, and what stands there in ours."""


def language_model_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A reference language model's state dict under our names."""
    return {renamed(name, REPLACED): tensor for name, tensor in tensors.items()}
