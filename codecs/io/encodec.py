"""Codecs from the state dicts of EnCodec's authors (``encodec_24khz-….th``, ``encodec_48khz-….th``)."""

import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.io.published import filled
from codeclab.codecs.io.weights import OLDER_WEIGHT_NORM, renamed
from codeclab.codecs.layers.convolution import Norm
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.wording import counted
from codeclab.quantizers.residual_vq import ResidualVQ

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
    *OLDER_WEIGHT_NORM,
)
"""Replacements that turn the reference's names into ours; weight norm has the names of torch's parametrization."""


def encodec_tensors(tensors: dict[str, Tensor], replaced: Iterable[tuple[str, str]] = REPLACED) -> dict[str, Tensor]:
    """A state dict by our names; flags ``[1]`` that a codebook was initialized become numbers of updates, 0 or 1.

    Args:
        tensors: the reference's state dict.
        replaced: parts of its names, and what stands there in ours.
    """
    named = {renamed(name, replaced): tensor for name, tensor in tensors.items()}
    return {name: tensor.squeeze().long() if name.endswith(".updates") else tensor for name, tensor in named.items()}


@dataclass(frozen=True)
class Released:
    """Settings of a released model that its tensors do not determine.

    Source: EnCodec 3.1 and 4.1; the released ``EncodecModel``.

    Args:
        sample_rate: sample rate in Hz.
        causal: whether the model is causal.
        bitrates: bitrates offered, kbps.
        segment: duration of the segments, seconds, 1 % overlapping; None codes audio whole.
        normalize: whether segments are divided by their level.
    """

    sample_rate: int
    causal: bool
    bitrates: tuple[float, ...]
    segment: float | None
    normalize: bool


RELEASED: dict[tuple[int, Norm], Released] = {
    (1, "weight_norm"): Released(24000, True, (1.5, 3, 6, 12, 24), None, False),
    (2, "time_group_norm"): Released(48000, False, (3, 6, 12, 24), 1.0, True),
}
"""Settings by audio channels and norm, which the tensors determine."""

RELEASED_SIZES: dict[str, Any] = {
    "dimension": 128,
    "n_filters": 32,
    "strides": [2, 4, 5, 8],
    "n_residual_layers": 1,
    "kernel_size": 7,
    "last_kernel_size": 7,
    "residual_kernel_size": 3,
    "residual_last_kernel_size": 1,
    "compress": 2,
    "true_skip": False,
    "lstm_layers": 2,
}


def is_original_encodec(tensors: dict[str, Tensor]) -> bool:
    """Whether a state dict has the names of the released package."""
    return any(name.startswith("encoder.model.") for name in tensors)


def from_original_encodec(tensors: dict[str, Tensor], source: str, for_training: bool) -> Codec:
    """A codec from a state dict of the released package: its sizes from the tensors, the rest as released.

    Args:
        tensors: tensors by the released package's names.
        source: origin of the tensors, for messages.
        for_training: whether weight norm is kept (equal up to rounding).

    Raises:
        ValueError: the model is neither the mono nor the stereo one, or tensors are missing, unexpected or misshapen.
    """
    channels, norm, sizes = _sizes(tensors, source)
    if (channels, norm) not in RELEASED:
        raise ValueError(
            f"{source} is of {counted(channels, 'channel')} with norm {norm} (encoder.model.0.conv.conv.weight); "
            "the released models have 1 with weight_norm or 2 with time_group_norm"
        )
    rest = RELEASED[channels, norm]
    n_codebooks, codebook_size = _codebooks(tensors, source)
    full = n_codebooks * math.log2(codebook_size) * rest.sample_rate / math.prod(sizes["strides"]) / 1000
    as_released = sizes == RELEASED_SIZES and abs(full - rest.bitrates[-1]) < 1e-6
    if not as_released:
        other = [f"{name} is {sizes[name]}, not {size}" for name, size in RELEASED_SIZES.items() if sizes[name] != size]
        other.append(f"{counted(n_codebooks, 'codebook')} of {codebook_size} entries")
        warnings.warn(
            f"{source} is not of the released sizes ({'; '.join(other)}). Its sampling rate, segments and padding, "
            f"which no tensor states, are assumed to be those of the released model of {rest.sample_rate} Hz",
            stacklevel=2,
        )
    shape = sizes | {"channels": channels, "norm": norm, "causal": rest.causal}
    codec = Codec(
        SEANetEncoder(**shape),
        ResidualVQ(sizes["dimension"], n_codebooks, codebook_size),
        SEANetDecoder(**shape),
        rest.sample_rate,
        bitrates=list(rest.bitrates) if as_released else None,
        segment=rest.segment,
        normalize=rest.normalize,
    )
    return filled(codec, encodec_tensors(tensors), source, for_training)


def _sizes(tensors: dict[str, Tensor], source: str) -> tuple[int, Norm, dict[str, Any]]:
    """Audio channels, norm and SEANet's sizes, from the encoder's tensors."""
    outer = _weights(tensors, r"encoder\.model\.(\d+)\.conv\.conv\.weight(?:_v)?", source)
    inner, second = (
        _weights(tensors, rf"encoder\.model\.(\d+)\.block\.{index}\.conv\.conv\.weight(?:_v)?", source)
        for index in (1, 3)
    )
    if len(outer) < 3 or not inner or len(inner) != len(second):
        raise ValueError(
            f"{source} lacks convolutions of the encoder (encoder.model.….conv.conv.weight or weight_v, and those of "
            f"encoder.model.….block.1 and .3); it has {len(outer)}, {len(inner)} and {len(second)} of them"
        )
    _check_widths(first=outer[0], downs=outer[1:-1], inner=inner, source=source)
    first, *downs, last = outer
    norm: Norm = "none"
    if "encoder.model.0.conv.norm.weight" in tensors:
        norm = "time_group_norm"
    elif "encoder.model.0.conv.conv.weight_g" in tensors:
        norm = "weight_norm"
    return (
        first.shape[1],
        norm,
        {
            "dimension": last.shape[0],
            "n_filters": first.shape[0],
            "strides": [max(1, down.shape[2] // 2) for down in downs],
            "n_residual_layers": len(inner) // len(downs),
            "kernel_size": first.shape[2],
            "last_kernel_size": last.shape[2],
            "residual_kernel_size": inner[0].shape[2],
            "residual_last_kernel_size": second[0].shape[2],
            "compress": inner[0].shape[1] // inner[0].shape[0],
            "true_skip": not any(".shortcut." in name for name in tensors),
            "lstm_layers": sum(
                re.fullmatch(r"encoder\..*\.lstm\.weight_ih_l\d+", name) is not None for name in tensors
            ),
        },
    )


def _check_widths(first: Tensor, downs: list[Tensor], inner: list[Tensor], source: str) -> None:
    """Refuse an encoder that is no SEANet, which doubles its widths, and whose strides are half of its kernels.

    Raises:
        ValueError: a layer has another width; the message says which, and the expected one.
    """
    width = first.shape[0]
    for index, down in enumerate(downs):
        wanted = [width * 2 ** (index + 1), width * 2**index]
        if list(down.shape[:2]) != wanted or down.shape[2] % 2:
            raise ValueError(
                f"downsampling {index + 1} of {source} is {list(down.shape)}; a SEANet that begins with {width} "
                f"channels has [{wanted[0]}, {wanted[1]}, twice the stride] there"
            )
    if len(inner) % len(downs) or inner[0].shape[1] % inner[0].shape[0]:
        raise ValueError(
            f"{source} has {len(inner)} residual units, the first of {list(inner[0].shape)}, for {len(downs)} "
            "downsamplings; a SEANet has as many for each, and their width divides that of the layer"
        )


def _codebooks(tensors: dict[str, Tensor], source: str) -> tuple[int, int]:
    """The number of codebooks, and of entries in each."""
    entries = [tensor for name, tensor in tensors.items() if re.fullmatch(r"quantizer\..*\._codebook\.embed", name)]
    if not entries or entries[0].ndim != 2:
        raise ValueError(f"{source} lacks codebooks [entries, dimension] (quantizer.vq.layers.0._codebook.embed)")
    return len(entries), len(entries[0])


def _weights(tensors: dict[str, Tensor], pattern: str, source: str) -> list[Tensor]:
    """Weights of the convolutions whose names match, in the order of the layers' numbers."""
    weights = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(pattern, name)
        if match is None:
            continue
        if tensor.ndim != 3 or 0 in tensor.shape:
            raise ValueError(f"{name} of {source} is {list(tensor.shape)}; a convolution's has three axes")
        weights[int(match.group(1))] = tensor
    return [weights[number] for number in sorted(weights)]
