"""Codecs from folders that ``transformers`` wrote: EncodecModel's and DacModel's ``save_pretrained``."""

import math
from typing import Any

from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.published import dac_codec, filled
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.transformers_names import transformers_dac_tensors, transformers_encodec_tensors
from codeclab.quantizers.residual_vq import ResidualVQ

KNOWN = {"norm_type": ("weight_norm", "time_group_norm"), "pad_mode": ("reflect", "constant")}
"""Settings of EncodecModel of which our parts have some values only."""


def from_transformers(config: dict[str, Any], tensors: dict[str, Tensor], source: str, for_training: bool) -> Codec:
    """A codec from what ``save_pretrained`` wrote.

    Args:
        config: the folder's ``config.json``; its ``model_type`` is ``encodec`` or ``dac``.
        tensors: the folder's ``model.safetensors`` (or ``pytorch_model.bin``).
        source: where they come from, for messages.
        for_training: keep weight norm (equal up to rounding).

    Raises:
        ValueError: another kind of model, a setting that this package's parts do not have, or tensors that do not fit.
    """
    builders = {"encodec": _encodec, "dac": _dac}
    kind = config.get("model_type")
    if kind not in builders:
        raise ValueError(f"{source} is a transformers folder of a {kind!r} model; read are: {', '.join(builders)}")
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
    shape: dict[str, Any] = {
        "dimension": config["hidden_size"],
        "channels": config["audio_channels"],
        "n_filters": config["num_filters"],
        "strides": config["upsampling_ratios"][::-1],
        "n_residual_layers": config["num_residual_layers"],
        "dilation_base": config["dilation_growth_rate"],
        "kernel_size": config["kernel_size"],
        "last_kernel_size": config["last_kernel_size"],
        "residual_kernel_size": config["residual_kernel_size"],
        "compress": config["compress"],
        "true_skip": not config.get("use_conv_shortcut", True),
        "lstm_layers": config["num_lstm_layers"],
        "causal": config["use_causal_conv"],
        "norm": config["norm_type"],
        "pad_mode": config["pad_mode"],
    }
    named = transformers_encodec_tensors(tensors)
    count = len({name.split(".")[2] for name in named if name.startswith("quantizer.codebooks.")})
    codec = Codec(
        SEANetEncoder(**shape),
        ResidualVQ(config["hidden_size"], count, config["codebook_size"]),
        SEANetDecoder(**shape, trim_right_ratio=config["trim_right_ratio"]),
        config["sampling_rate"],
        bitrates=_bitrates(config),
        segment=config["chunk_length_s"],
        overlap=0.01 if config["overlap"] is None else config["overlap"],
        normalize=config["normalize"],
    )
    return codec, named


def _bitrates(config: dict[str, Any]) -> list[float]:
    """The kbps of a model's bandwidths: EncodecModel counts a started frame per second as a whole one, a codec not."""
    frame_rate = config["sampling_rate"] / math.prod(config["upsampling_ratios"])
    return [bandwidth * frame_rate / math.ceil(frame_rate) for bandwidth in config["target_bandwidths"]]


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
    return codec, transformers_dac_tensors(tensors, len(strides))
