"""Codes audio files with one codec: encodes, decodes, or does both in one step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codeclab.codecs.codec import Codec
from codeclab.codecs.device import choose_device
from codeclab.codecs.engines.names import EngineName
from codeclab.codecs.entropy.audio_files import CodedFile, decode_file, encode_file, reconstruct_file
from codeclab.codecs.entropy.choice import Coders
from codeclab.codecs.entropy.ecdc_files import SUFFIX, decode_ecdc, encode_ecdc, published_name, released_language_model

Task = Literal["encode", "decode", "reconstruct"]


@dataclass(frozen=True)
class CodingSettings:
    """How files are coded.

    Attributes:
        task: ``encode`` audio to codes, ``decode`` codes to audio, or ``reconstruct``, which does both.
        codec: path, name or hub id of the codec, as ``Codec.from_pretrained`` takes it.
        bitrate: bitrate, kbps; None is the codec's highest.
        entropy: name of the entropy coder of codes: ``none``, ``static``, ``prior`` or ``lm``.
        language_model: folder of the model fitted to the codec, or a file of the ``encodec`` package, which codes
            ``.ecdc`` files alone; None takes the model beside the codec, if there is one.
        device: device of the networks, such as ``cpu`` or ``cuda``.
        precision: precision of the networks, ``f32`` or ``bf16``.
        engine: engine of the networks, ``torch``, ``onnxruntime`` or ``openvino``.
    """

    task: Task
    codec: str
    bitrate: float | None = None
    entropy: str = "none"
    language_model: Path | None = None
    device: str = "cpu"
    precision: Literal["f32", "bf16"] = "f32"
    engine: Literal["torch"] | EngineName = "torch"


@dataclass(frozen=True)
class CodingResult:
    """The result of coding one file.

    Attributes:
        source: path of the file that was read.
        coded: durations, bitrate and damage; None where the file could not be coded.
        error: reason why it could not; empty where it was coded.
    """

    source: Path
    coded: CodedFile | None
    error: str = ""


class FileCoder:
    """Codes files with one codec.

    Args:
        codec: codec that ``settings.codec`` names; it is moved to the device, the precision and the engine.
        settings: settings of the coding, the same for every file.

    Raises:
        ValueError: the machine has no such device, or the codec no such bitrate, entropy coder, language model or
            engine.
    """

    def __init__(self, codec: Codec, settings: CodingSettings) -> None:
        self.settings = settings
        self.codec = codec.to(choose_device(settings.device)).eval()
        if settings.precision == "bf16":
            self.codec.to_bf16()
        if settings.engine != "torch":
            self.codec.to_engine(settings.engine)
        given = settings.language_model
        released = given is not None and given.is_file()
        self.coders = Coders.beside(self.codec, settings.codec, None if released else given)
        self.n_codebooks = self.codec.choose_codebooks(settings.bitrate)
        # A file of the encodec package codes .ecdc files alone.
        self.coder = self.coders.named("none" if released else settings.entropy)
        self.model = released_language_model(given, self.codec) if given and released else self.coders.model
        self.name = published_name(settings.codec, self.codec)

    def __call__(self, source: Path, target: Path) -> CodingResult:
        """Code one file; where that is impossible, the result says why.

        Args:
            source: path of the file to read.
            target: path of the file to write, which is replaced atomically.
        """
        try:
            return CodingResult(source, self._code(source, target))
        except (ValueError, OSError) as error:
            return CodingResult(source, None, str(error))

    def _code(self, source: Path, target: Path) -> CodedFile:
        task, is_ecdc = self.settings.task, SUFFIX in (source.suffix.lower(), target.suffix.lower())
        if task == "reconstruct":
            return reconstruct_file(self.codec, source, target, self.n_codebooks)
        if is_ecdc:
            if task == "encode":
                return self._encode_ecdc(source, target)
            return decode_ecdc(self.codec, source, target, self.model, self.name)
        if task == "decode":
            return decode_file(self.codec, source, target, self.coders.of_header)
        if self.settings.entropy != self.coder.name:
            raise ValueError(f"{self.settings.language_model} codes .ecdc files alone; fit one: codeclab fit-lm")
        return encode_file(self.codec, source, target, self.n_codebooks, self.coder)

    def _encode_ecdc(self, source: Path, target: Path) -> CodedFile:
        entropy = self.settings.entropy
        if entropy not in ("none", "lm"):
            raise ValueError(f".ecdc files support --entropy none or lm, not {entropy}")
        if entropy == "lm" and self.model is None:
            raise ValueError(
                "--entropy lm needs a language model, and there is none beside the codec; fit one with codeclab fit-lm "
                "or name one, as in --language-model FOLDER"
            )
        model = self.model if entropy == "lm" else None
        return encode_ecdc(self.codec, source, target, self.n_codebooks, model, self.name)
