"""Audio files to the ``.ecdc`` files of the ``encodec`` package and back."""

import re
from pathlib import Path

from torch import Tensor

from codeclab.codecs.audio_file import AudioWriter
from codeclab.codecs.blocks import decode_blocks, encode_blocks, joined
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.audio_files import Coded, audio_blocks
from codeclab.codecs.entropy.ecdc import read_ecdc, write_ecdc
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.entropy.language_model_names import language_model_tensors
from codeclab.codecs.io.files import replacing
from codeclab.codecs.io.torch_file import read_torch_file

SUFFIX = ".ecdc"
RECEPTIVE_SECONDS = 3.5
"""What the released language models see."""

RELEASED_HEADS = 8

PUBLISHED = {"encodec_24khz": (24000, 1), "encodec_48khz": (48000, 2)}
"""Names that the package writes into its files, and sampling rate and channels of what they name."""


def published_name(path: Path | str, codec: Codec) -> str | None:
    """What the ``encodec`` package calls a codec that was read from a path or hub id; None where it has no name there.

    Args:
        path: as ``facebook/encodec_24khz``, a folder of that name, or ``encodec_24khz-d7cc33bc.th``.
        codec: which was read.
    """
    found = re.match("encodec_(24|48)khz", Path(path).name)
    if found is None or PUBLISHED[found[0]] != (codec.sample_rate, codec.channels):
        return None
    return found[0]


def released_language_model(path: Path, codec: Codec) -> LanguageModel:
    """The language model of the ``encodec`` package, as ``encodec_lm_24khz-1608e3c0.th``, its tensors under our names.

    Args:
        path: of the file.
        codec: whose codes it predicts.

    Raises:
        ValueError: the file is none such, or its sizes are not the codec's.
    """
    content = read_torch_file(path)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} is no language model of the encodec package: it holds no tensors by name")
    tensors = language_model_tensors(content)
    try:
        entries, dimension = tensors["embeddings.0.weight"].shape
        numbers = [sum(bool(re.fullmatch(form, name)) for name in tensors) for form in _COUNTED]
        model = LanguageModel(
            n_codebooks=numbers[0],
            codebook_size=entries - 1,
            dimension=dimension,
            n_layers=numbers[1],
            n_heads=RELEASED_HEADS,
            feedforward=tensors["layers.0.expand.weight"].shape[0],
            context=int(RECEPTIVE_SECONDS * codec.frame_rate),
        )
        model.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0]
        raise ValueError(f"{path} is no language model of the encodec package: {said}") from error
    return model.eval()


_COUNTED = (r"embeddings\.\d+\.weight", r"layers\.\d+\.expand\.weight")


def encode_ecdc(
    codec: Codec, source: Path, target: Path, n_codebooks: int, model: LanguageModel | None, name: str | None
) -> Coded:
    """An audio file to an ``.ecdc`` file, written whole or not at all.

    Args:
        codec: in evaluation mode.
        source: audio of any sampling rate and number of channels.
        target: of the codes, which are all held until the end: the format begins with the length.
        n_codebooks: used.
        model: by whose predictions they are coded; None packs them.
        name: of the codec in the file; None takes its identity.

    Raises:
        ValueError: the audio cannot be read, or has none; the language model does not fit.
    """
    codes = joined(codec, list(encode_blocks(codec, audio_blocks(codec, source), n_codebooks)))
    with replacing(target) as temporary:
        write_ecdc(temporary, codes, codec, model, name)
    return Coded(codes.seconds, target.stat().st_size * 8 / 1000 / codes.seconds)


def decode_ecdc(codec: Codec, source: Path, target: Path, model: LanguageModel | None, name: str | None) -> Coded:
    """An ``.ecdc`` file to an audio file, written whole or not at all.

    Args:
        codec: whose codes they are.
        source: of the codes.
        target: audio, in the format that its suffix says.
        model: by whose predictions they were coded, where they were.
        name: of the codec in the file; None expects its identity.

    Raises:
        ValueError: no whole file of this codec's codes; the message says what is wrong with it.
    """
    codes = read_ecdc(source, codec, model, name)
    with replacing(target) as temporary:
        named = temporary.with_name(temporary.name + target.suffix)
        try:
            with AudioWriter(named, codec.sample_rate, codec.channels) as writer:
                for audio in decode_blocks(codec, iter([codes])):
                    writer.write(audio[0])
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
    return Coded(codes.seconds, source.stat().st_size * 8 / 1000 / codes.seconds)
