"""A language model's start from what is known of a codec, so that little data teaches it more."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.quantizers.base import ABSENT, Quantizer

SHARE = 0.3
"""Of PyTorch's start of a linear layer, what the outputs' weights start with: at first frequencies decide."""


@torch.no_grad()
def start_from_codec(model: LanguageModel, codec: Codec, counts: NDArray[np.int64], seed: int) -> None:
    """Begin with the codec's own vectors and with how frequent each code is; everything is learnt on from there.

    Embeddings are what each code adds to the latent, so that their sum over codebooks is the latent itself, turned by
    one random matrix into the model's channels; outputs point the same way, each codebook's of one size, so that codes
    that sound alike are expected alike; biases are log frequencies, by which the model begins where static coding ends.
    Not in the paper, which has 17,000 hours to learn all this from.

    Args:
        model: language model before its first update.
        codec: codec whose codes it will predict.
        counts: number of times each entry is chosen, ``[K, size]``.
        seed: seed of the matrix.
    """
    generator = torch.Generator().manual_seed(seed)
    vectors = [vectors_of(codec.quantizer, index).float().cpu() for index in range(model.n_codebooks)]
    turn = torch.randn(vectors[0].shape[1], model.dimension, generator=generator) / vectors[0].shape[1] ** 0.5
    level = torch.stack([one.square().mean() for one in vectors]).sum().sqrt().clamp(min=1e-8)
    for index, (own, seen) in enumerate(zip(vectors, torch.from_numpy(counts).double(), strict=True)):
        embedding, output = model.embeddings[index], model.outputs[index]
        assert isinstance(embedding, nn.Embedding)
        assert isinstance(output, nn.Linear)
        turned = own @ turn
        embedding.weight[1:] = (turned / level).to(embedding.weight)
        spread = turned - turned.mean(0)
        output.weight.copy_(spread * (SHARE * output.weight.std() / spread.std().clamp(min=1e-8)))
        output.bias.copy_(((seen + 1) / (seen + 1).sum()).log())


def vectors_of(quantizer: Quantizer, codebook: int) -> Tensor:
    """What each entry of a codebook adds to the latent, ``[size, D]``."""
    size = quantizer.codebook_sizes[codebook]
    codes = torch.full((size + 1, quantizer.n_codebooks, 1), ABSENT)
    codes[:size, codebook, 0] = torch.arange(size)
    decoded = quantizer.decode(codes.to(next(quantizer.parameters(), next(quantizer.buffers(), codes)).device))[..., 0]
    return decoded[:size] - decoded[size]
