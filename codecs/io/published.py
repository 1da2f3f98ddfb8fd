"""Functions shared by the loaders of published checkpoints: a codec of DAC's parts, and loading tensors into one."""

from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.io.weights import DIRECTION, LENGTH, fill, fold, fold_pairs, some_of
from codeclab.quantizers.factorized_vq import FactorizedVQ

STARTED = ".updates"
"""Suffix of the name of a codebook's number of updates."""


def dac_codec(
    sample_rate: int,
    dimension: int | None,
    encoder_filters: int,
    decoder_filters: int,
    strides: list[int],
    upsampling: list[int],
    codebooks: tuple[int, int, int | list[int]],
) -> Codec:
    """An untrained codec of DAC's parts.

    Args:
        sample_rate: sampling rate, Hz.
        dimension: latent channels; None takes the channels of the encoder's widest layer.
        encoder_filters: channels after the encoder's first convolution.
        decoder_filters: channels after the decoder's first convolution.
        strides: strides of the encoder.
        upsampling: strides of the decoder, in its own order.
        codebooks: number of codebooks, entries of each, and length of an entry.

    Raises:
        ValueError: ``upsampling`` is not ``strides`` in reverse.
    """
    if list(upsampling) != list(strides)[::-1]:
        raise ValueError(
            f"the model downsamples by {list(strides)} and upsamples by {list(upsampling)}; "
            f"DACDecoder upsamples by {list(strides)[::-1]}"
        )
    encoder = DACEncoder(n_filters=encoder_filters, strides=strides, dimension=dimension)
    decoder = DACDecoder(encoder.dimension, n_filters=decoder_filters, strides=strides)
    return Codec(encoder, FactorizedVQ(encoder.dimension, *codebooks), decoder, sample_rate)


def filled(codec: Codec, tensors: dict[str, Tensor], source: str, for_training: bool) -> Codec:
    """The codec, in evaluation mode, with the tensors of a published checkpoint.

    Codebooks count as initialized, regardless of the file's flag: further training continues from them and does not
    initialize them by k-means.

    Args:
        codec: codec with weight norm.
        tensors: tensors by this package's names, with weight norm folded or as pairs, of any floating-point type.
        source: origin of the tensors, for messages.
        for_training: whether weight norm is kept (equal up to rounding).

    Raises:
        ValueError: tensors are missing, unexpected or of another shape; the message names them.
    """
    lone = [name for name in tensors if name.endswith(LENGTH) and name.removesuffix(LENGTH) + DIRECTION not in tensors]
    if lone:
        raise ValueError(f"{source} has a weight's length without its direction (weight_v): {some_of(lone)}")
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    tensors = {name: tensor.clamp(min=1) if name.endswith(STARTED) else tensor for name, tensor in tensors.items()}
    if not for_training:
        fold(codec)
    fill(codec, fold_pairs(tensors), source)
    return codec.eval()
