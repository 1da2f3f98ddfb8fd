"""Audio files to the ``.ecdc`` files of the ``encodec`` package and back."""

import re
from pathlib import Path

from torch import Tensor

from codeclab.codecs.blocks import decode_blocks, encode_blocks, joined
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.audio_files import CodedFile, audio_blocks, replacing_audio
from codeclab.codecs.entropy.ecdc import read_ecdc, write_ecdc
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.io.files import replacing
from codeclab.codecs.io.torch_file import read_torch_file
from codeclab.codecs.io.weights import renamed
from codeclab.codecs.wording import first_line

SUFFIX = ".ecdc"
RECEPTIVE_SECONDS = 3.5
"""Context of the paper's language model and of the released ones, seconds (EnCodec 3.3)."""

RELEASED_HEADS = 8

PUBLISHED = {"encodec_24khz": (24000, 1), "encodec_48khz": (48000, 2)}
"""Model names in the package's files, with each model's sampling rate (Hz) and channels."""

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
"""Replacements that turn the names of the package's language model (``LMModel``) into ours."""


def published_name(path: Path | str, codec: Codec) -> str | None:
    """The ``encodec`` package's name of a codec that was read from a path or hub id; None where it has none.

    Args:
        path: hub id ``facebook/encodec_24khz``, a folder of that name, or ``encodec_24khz-d7cc33bc.th``.
        codec: codec that was read from there.
    """
    match = re.match("encodec_(24|48)khz", Path(path).name)
    if match is None or PUBLISHED[match[0]] != (codec.sample_rate, codec.channels):
        return None
    return match[0]


def language_model_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the package's language model under our names."""
    return {renamed(name, REPLACED): tensor for name, tensor in tensors.items()}


def released_language_model(path: Path, codec: Codec) -> LanguageModel:
    """A language model of the ``encodec`` package, such as ``encodec_lm_24khz-1608e3c0.th``.

    Args:
        path: path of the file.
        codec: codec whose codes the model predicts.

    Raises:
        ValueError: the file is not such a model, or its sizes do not fit the codec.
    """
    content = read_torch_file(path)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} is not a language model of the encodec package: it holds no tensors by name")
    tensors = language_model_tensors(content)
    try:
        entries, dimension = tensors["embeddings.0.weight"].shape
        forms = (r"embeddings\.\d+\.weight", r"layers\.\d+\.expand\.weight")
        n_codebooks, n_layers = (sum(bool(re.fullmatch(form, name)) for name in tensors) for form in forms)
        model = LanguageModel(
            n_codebooks=n_codebooks,
            codebook_size=entries - 1,
            dimension=dimension,
            n_layers=n_layers,
            n_heads=RELEASED_HEADS,
            feedforward=tensors["layers.0.expand.weight"].shape[0],
            context=int(RECEPTIVE_SECONDS * codec.frame_rate),
        )
        model.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a language model of the encodec package: {first_line(error)}") from error
    return model.eval()


def encode_ecdc(
    codec: Codec, source: Path, target: Path, n_codebooks: int, model: LanguageModel | None, name: str | None
) -> CodedFile:
    """Encode an audio file to an ``.ecdc`` file, which is written atomically.

    Args:
        codec: codec in evaluation mode.
        source: path of an audio file of any sampling rate and number of channels.
        target: path of the ``.ecdc`` file. All codes are held in memory, because the format begins with the length.
        n_codebooks: number of codebooks in use.
        model: language model whose predictions code the codes; None packs them.
        name: name of the codec in the file; None takes its identity.

    Raises:
        ValueError: the audio cannot be read or is empty, or the language model does not fit.
    """
    codes = joined(codec, list(encode_blocks(codec, audio_blocks(codec, source), n_codebooks)))
    with replacing(target) as temporary:
        write_ecdc(temporary, codes, codec, model, name)
    return CodedFile(codes.seconds, target.stat().st_size * 8 / 1000 / codes.seconds)


def decode_ecdc(codec: Codec, source: Path, target: Path, model: LanguageModel | None, name: str | None) -> CodedFile:
    """Decode an ``.ecdc`` file to an audio file, which is written atomically.

    Args:
        codec: codec of the codes.
        source: path of the ``.ecdc`` file.
        target: path of the audio file; its suffix determines the format.
        model: language model with which the codes were coded; None if they are packed.
        name: name of the codec in the file; None expects its identity.

    Raises:
        ValueError: the file does not hold codes of this codec, or is damaged; the message says why.
    """
    codes = read_ecdc(source, codec, model, name)
    with replacing_audio(target, codec) as writer:
        for audio in decode_blocks(codec, iter([codes])):
            writer.write(audio[0])
    return CodedFile(codes.seconds, source.stat().st_size * 8 / 1000 / codes.seconds)
