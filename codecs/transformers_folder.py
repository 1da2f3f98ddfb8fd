"""Codecs from folders that ``transformers`` wrote: EncodecModel's and DacModel's ``save_pretrained``."""

from typing import Any

from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.transformers_names import transformers_dac_tensors, transformers_encodec_tensors
from codeclab.codecs.weights import fill, fold, fold_pairs
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.residual_vq import ResidualVQ


def from_transformers(config: dict[str, Any], tensors: dict[str, Tensor], source: str, for_training: bool) -> Codec:
    """A codec from what ``save_pretrained`` wrote.

    Args:
        config: the folder's ``config.json``; its ``model_type`` is ``encodec`` or ``dac``.
        tensors: the folder's ``model.safetensors``.
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
    if not for_training:
        fold(codec)
    fill(codec, fold_pairs(named), source)
    return codec.eval()


def _encodec(config: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[Codec, dict[str, Tensor]]:
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
        bitrates=config["target_bandwidths"],
        segment=config["chunk_length_s"],
        overlap=0.01 if config["overlap"] is None else config["overlap"],
        normalize=config["normalize"],
    )
    return codec, named


def _dac(config: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[Codec, dict[str, Tensor]]:
    strides = config["downsampling_ratios"]
    if config["upsampling_ratios"] != strides[::-1]:
        raise ValueError(
            f"the model goes down by {strides} and up by {config['upsampling_ratios']}; "
            f"DACDecoder goes up by {strides[::-1]}"
        )
    dimension = config["hidden_size"]
    codec = Codec(
        DACEncoder(n_filters=config["encoder_hidden_size"], strides=strides, dimension=dimension),
        FactorizedVQ(dimension, config["n_codebooks"], config["codebook_size"], config["codebook_dim"]),
        DACDecoder(dimension, n_filters=config["decoder_hidden_size"], strides=strides),
        config["sampling_rate"],
    )
    return codec, transformers_dac_tensors(tensors, len(strides))
