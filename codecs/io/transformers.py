"""Codecs from folders of ``transformers``: ``save_pretrained`` of EncodecModel and DacModel."""

import math
import warnings
from typing import Any

from torch import Tensor

from codeclab.codecs.bitrate import same_bitrate
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.encodec import encodec_tensors
from codeclab.codecs.io.published import dac_codec, filled
from codeclab.codecs.io.transformers_names import ENCODEC_NAMES, ENCODEC_SETTINGS, dac_export_name
from codeclab.codecs.io.weights import OLDER_WEIGHT_NORM, folded_tensors, renamed
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.wording import by_number
from codeclab.quantizers.residual_vq import ResidualVQ

REPLACED = (*((theirs, ours) for ours, theirs in reversed(ENCODEC_NAMES)), *OLDER_WEIGHT_NORM)
"""Replacements that turn EncodecModel's names into ours."""

KNOWN = {"norm_type": ("weight_norm", "time_group_norm"), "pad_mode": ("reflect", "constant")}
"""Settings of EncodecModel for which our parts support only these values."""


def from_transformers(config: dict[str, Any], tensors: dict[str, Tensor], source: str, for_training: bool) -> Codec:
    """A codec from a folder of ``save_pretrained``.

    Args:
        config: content of ``config.json``, whose ``model_type`` is ``encodec`` or ``dac``.
        tensors: content of ``model.safetensors`` (or ``pytorch_model.bin``).
        source: origin of the tensors, for messages.
        for_training: whether weight norm is kept (equal up to rounding).

    Raises:
        ValueError: the model is of another kind, the parts here do not have a setting, or tensors do not fit.
    """
    builders = {"encodec": _encodec, "dac": _dac}
    kind = config.get("model_type")
    if kind not in builders:
        raise ValueError(f"{source} is a transformers folder of a {kind!r} model; supported are: {', '.join(builders)}")
    try:
        codec, named = builders[kind](config, tensors)
    except KeyError as error:
        raise ValueError(f"the config.json of {source} lacks {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(
            f"the config.json of {source} has a setting of another type than transformers': {error}"
        ) from error
    return filled(codec, named, source, for_training)


def _encodec(config: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[Codec, dict[str, Tensor]]:
    for name, values in KNOWN.items():
        if config[name] not in values:
            raise ValueError(f"{name} of the model is {config[name]!r}; SEANet's here is one of: {', '.join(values)}")
    if config.get("codebook_dim") not in (None, config["hidden_size"]):
        raise ValueError(
            f"codebook_dim of the model is {config['codebook_dim']} and hidden_size {config['hidden_size']}; "
            "ResidualVQ's entries are as long as the latent"
        )
    shape = {ours: config[theirs] for ours, theirs in ENCODEC_SETTINGS.items()} | {
        "strides": config["upsampling_ratios"][::-1],
        "true_skip": not config.get("use_conv_shortcut", True),
        "norm": config["norm_type"],
    }
    named = encodec_tensors(tensors, REPLACED)
    count = len({name.split(".")[2] for name in named if name.startswith("quantizer.codebooks.")})
    names, bitrates = _bitrates(config, count)
    codec = Codec(
        SEANetEncoder(**shape),
        ResidualVQ(config["hidden_size"], count, config["codebook_size"]),
        SEANetDecoder(**shape, trim_right_ratio=config["trim_right_ratio"]),
        config["sampling_rate"],
        bitrates=bitrates,
        segment=config["chunk_length_s"],
        overlap=0.01 if config["overlap"] is None else config["overlap"],
        normalize=config["normalize"],
    )
    codec.rate_names = names
    return codec, named


def _bitrates(config: dict[str, Any], n_codebooks: int) -> tuple[dict[float, int], list[float]]:
    """The numbers of codebooks of a model's bandwidths, and their true kbps.

    EncodecModel rounds the frame rate up and the number of codebooks down (at least one). A warning names the true rate
    where it differs from the bandwidth.
    """
    frame_rate = config["sampling_rate"] / math.prod(config["upsampling_ratios"])
    bits = math.log2(config["codebook_size"])
    names, kbps = {}, {}
    for bandwidth in sorted(config["target_bandwidths"]):
        counted = math.ceil(frame_rate) * math.ceil(bits) / 1000
        used = min(max(int(bandwidth / counted + 1e-9), 1), n_codebooks)
        kbps[used] = used * bits * frame_rate / 1000
        names[float(bandwidth)] = used
        if not same_bitrate(kbps[used], bandwidth):
            books = f"{used} {by_number(used, 'codebook', 'codebooks')}"
            warnings.warn(
                f"the model's bandwidth of {bandwidth:g} kbps takes {books}, and is {kbps[used]:.4g} kbps", stacklevel=5
            )
    return names, list(kbps.values())


def _dac(config: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[Codec, dict[str, Tensor]]:
    strides = config["downsampling_ratios"]
    codec = dac_codec(
        config["sampling_rate"],
        config.get("hidden_size"),
        config["encoder_hidden_size"],
        config["decoder_hidden_size"],
        strides,
        config.get("upsampling_ratios", strides[::-1]),
        (config["n_codebooks"], config["codebook_size"], config["codebook_dim"]),
    )
    ours = {dac_export_name(name, len(strides)): name for name in [*codec.state_dict(), *folded_tensors(codec)]}
    theirs = {renamed(name, OLDER_WEIGHT_NORM): tensor for name, tensor in tensors.items()}
    return codec, {ours.get(name, name.replace("quantizers.", "stages.")): tensor for name, tensor in theirs.items()}
