"""Export of a codec to the content of a folder of ``transformers``: EncodecModel or DacModel."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor

from codeclab.codecs.bitrate import listed_rates
from codeclab.codecs.codec import Codec
from codeclab.codecs.dac import DACDecoder, DACEncoder
from codeclab.codecs.io.transformers_names import ENCODEC_SETTINGS, dac_export_name, encodec_export_tensors
from codeclab.codecs.io.weights import folded_tensors
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.codecs.wording import by_number, counted
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.residual_vq import ResidualVQ


@dataclass(frozen=True)
class TransformersFolder:
    """The content of a folder of ``transformers``.

    Attributes:
        model: class of ``transformers`` that loads the folder, ``EncodecModel`` or ``DacModel``.
        config: content of ``config.json``.
        preprocessor: content of ``preprocessor_config.json``, the feature extractor's settings.
        tensors: content of ``model.safetensors``.
        notes: differences to the codec that a user should know, one sentence each.
    """

    model: str
    config: dict[str, Any]
    preprocessor: dict[str, Any]
    tensors: dict[str, Tensor]
    notes: list[str] = field(default_factory=list)


def to_transformers(codec: Codec) -> TransformersFolder:
    """The folder with which ``transformers`` codes like ``codec``, at each of its bitrates.

    Raises:
        ValueError: ``transformers`` has no model with such parts or settings; the message names the difference and what
            can be exported.
    """
    builders: dict[tuple[type, ...], Callable[[Codec], TransformersFolder]] = {
        (SEANetEncoder, ResidualVQ, SEANetDecoder): _encodec,
        (DACEncoder, FactorizedVQ, DACDecoder): _dac,
    }
    parts = (type(codec.encoder), type(codec.quantizer), type(codec.decoder))
    if parts not in builders:
        raise ValueError(
            f"transformers has no model of {_joined(parts)}; it has EncodecModel ({_joined(list(builders)[0])}) "
            f"and DacModel ({_joined(list(builders)[1])})"
        )
    size = cast(ResidualVQ | FactorizedVQ, codec.quantizer).codebook_size
    _require(size & (size - 1) == 0, f"the codebook_size is {size}", "a power of 2")
    return builders[parts](codec)


def _encodec(codec: Codec) -> TransformersFolder:
    encoder, decoder = cast(SEANetEncoder, codec.encoder), cast(SEANetDecoder, codec.decoder)
    _check_encodec(encoder, decoder)
    weight_normed = encoder.norm != "time_group_norm"
    bandwidths = encodec_bandwidths(codec)
    used = max(codec.n_codebooks_for(bitrate) for bitrate in codec.bitrates)
    tensors = {
        name: tensor
        for name, tensor in folded_tensors(codec).items()
        if not name.startswith("quantizer.") or int(name.split(".")[2]) < used
    }
    cut = {"chunk_length_s": codec.segment, "overlap": None if codec.segment is None else codec.overlap}
    config = {
        "architectures": ["EncodecModel"],
        "model_type": "encodec",
        "dtype": "float32",
        "sampling_rate": codec.sample_rate,
        "target_bandwidths": bandwidths,
        "upsampling_ratios": encoder.strides[::-1],
        "use_conv_shortcut": not encoder.true_skip,
        # Without a norm the weights are the same; EncodecModel has weight norm or time group norm.
        "norm_type": "weight_norm" if weight_normed else "time_group_norm",
        "trim_right_ratio": decoder.trim_right_ratio if decoder.causal else 1.0,
        "codebook_size": cast(ResidualVQ, codec.quantizer).codebook_size,
        "codebook_dim": encoder.dimension,
        "normalize": codec.normalize,
        **cut,
        **{theirs: getattr(encoder, ours) for ours, theirs in ENCODEC_SETTINGS.items()},
    }
    return TransformersFolder(
        "EncodecModel",
        config,
        _preprocessor("EncodecFeatureExtractor", codec) | cut,
        encodec_export_tensors(tensors, weight_normed),
        _encodec_notes(codec, bandwidths, used),
    )


def _check_encodec(encoder: SEANetEncoder, decoder: SEANetDecoder) -> None:
    for name in (*ENCODEC_SETTINGS, "true_skip", "norm"):
        ours, other = getattr(encoder, name), getattr(decoder, name)
        _require(ours == other, f"{name} is {ours!r} in the encoder and {other!r} in the decoder", "one for both")
    for part in (encoder, decoder):
        _require(part.activation == "elu", f"the activation of {type(part).__name__} is {part.activation}", "elu")
        taps = part.residual_last_kernel_size
        _require(taps == 1, f"residual_last_kernel_size of {type(part).__name__} is {taps}", "1 in EncodecModel")
    _require(encoder.lstm_layers > 0, "lstm_layers is 0", "at least 1 in EncodecModel")
    _require(encoder.channels <= 2, f"channels is {encoder.channels}", "1 or 2 in EncodecModel")
    _require(
        decoder.final_activation == "none", f"final_activation is {decoder.final_activation}", "final_activation none"
    )


def encodec_bandwidths(codec: Codec) -> list[float]:
    """EncodecModel's ``target_bandwidths``, kbps: at each it takes as many codebooks as ``codec`` does at its bitrates.

    EncodecModel rounds the frame rate up and the number of codebooks down. A bandwidth is the codec's bitrate, unless
    EncodecModel would then use fewer codebooks. In that case it is the smallest value for which it uses as many.
    """
    bits = codec.quantizer.bits_per_frame(1)
    per_codebook = bits * math.ceil(codec.frame_rate)
    bandwidths = set()
    for bitrate in codec.bitrates:
        n_codebooks = codec.n_codebooks_for(bitrate)
        bandwidth = round(bitrate, 6)
        if math.floor(bandwidth * 1000 / per_codebook) != n_codebooks:
            bandwidth = n_codebooks * per_codebook / 1000
        while bandwidth * 1000 < n_codebooks * per_codebook:  # the division by 1000 may have rounded down
            bandwidth = math.nextafter(bandwidth, math.inf)
        bandwidths.add(bandwidth)
    return sorted(bandwidths)


def _encodec_notes(codec: Codec, bandwidths: list[float], used: int) -> list[str]:
    notes = []
    if any(abs(one - other) > 1e-6 for one, other in zip(bandwidths, codec.bitrates, strict=False)):
        notes.append(
            f"transformers counts {math.ceil(codec.frame_rate)} frames a second of {codec.frame_rate:.5g}: there, "
            f"bandwidth {listed_rates(bandwidths)} stands for {listed_rates(codec.bitrates)} kbps"
        )
    spare = cast(ResidualVQ, codec.quantizer).n_codebooks - used
    if spare:
        notes.append(
            f"the last {counted(spare, 'codebook')} {by_number(spare, 'is', 'are')} left out: no bitrate the codec "
            f"offers uses {by_number(spare, 'it', 'them')}"
        )
    return notes


def _dac(codec: Codec) -> TransformersFolder:
    encoder, decoder = cast(DACEncoder, codec.encoder), cast(DACDecoder, codec.decoder)
    quantizer = cast(FactorizedVQ, codec.quantizer)
    dims = quantizer.codebook_dim
    widths = {dims} if isinstance(dims, int) else set(dims)
    for part in (encoder, decoder):
        _require(part.activation == "snake", f"the activation of {type(part).__name__} is {part.activation}", "snake")
    _require(encoder.channels == 1, f"channels is {encoder.channels}", "1 in DacModel")
    _require(len(widths) == 1, f"codebook_dim is {dims}", "one for all codebooks")
    _require(quantizer.normalize, "normalize of FactorizedVQ is false", "true in DacModel")
    _require(not quantizer.simvq, "simvq of FactorizedVQ is true", "false in DacModel")
    _require(
        codec.segment is None, f"the codec cuts audio into segments of {codec.segment} s", "no segments in DacModel"
    )
    _require(not codec.normalize, "the codec normalizes audio (normalize)", "no normalization")
    config = {
        "architectures": ["DacModel"],
        "model_type": "dac",
        "dtype": "float32",
        "sampling_rate": codec.sample_rate,
        "encoder_hidden_size": encoder.n_filters,
        "decoder_hidden_size": decoder.n_filters,
        "hidden_size": encoder.dimension,
        "downsampling_ratios": encoder.strides,
        "upsampling_ratios": encoder.strides[::-1],
        "hop_length": encoder.hop_length,
        "n_codebooks": quantizer.n_codebooks,
        "codebook_size": quantizer.codebook_size,
        "codebook_dim": widths.pop(),
        "quantizer_dropout": 0.0,
        "commitment_loss_weight": 0.25,
        "codebook_loss_weight": 1.0,
    }
    tensors = folded_tensors(codec)
    for name in ("started", "counts", "updates"):  # needed for training only
        tensors.pop(f"quantizer.{name}", None)
    preprocessor = _preprocessor("DacFeatureExtractor", codec) | {"hop_length": encoder.hop_length}
    named = {dac_export_name(name, len(encoder.strides)): tensor for name, tensor in tensors.items()}
    return TransformersFolder("DacModel", config, preprocessor, named)


def _preprocessor(name: str, codec: Codec) -> dict[str, Any]:
    return {
        "feature_extractor_type": name,
        "feature_size": codec.channels,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
        "sampling_rate": codec.sample_rate,
    }


def _require(fits: bool, what: str, right: str) -> None:
    if not fits:
        raise ValueError(f"{what}; transformers does not support this; supported: {right}")


def _joined(parts: tuple[type, ...]) -> str:
    return " + ".join(part.__name__ for part in parts)
