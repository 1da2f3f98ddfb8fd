"""The entropy coders of a codec, by name and by number in a file."""

import hashlib
from pathlib import Path

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.coders import CodesCoder, PackedCoder, PriorCoder, TableCoder
from codeclab.codecs.entropy.container import ContainerError, Header
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.entropy.model_coder import ModelCoder
from codeclab.codecs.entropy.model_folder import CONFIG, TENSORS, FittedModel, load_fitted
from codeclab.codecs.io.box import BOX_FOLDER, is_box
from codeclab.codecs.io.missing import located

FOLDER = "language_model"
"""Name of the folder of a fitted model (``save_fitted``), inside the folder of a run or of a codec."""

NAMES = {coder.number: coder.name for coder in (PackedCoder, TableCoder, PriorCoder, ModelCoder)}


def language_model_folder(path: Path | str) -> Path:
    """The folder of the model fitted to a codec's codes, inside the folder of the codec or of its run.

    Args:
        path: path of the codec or its run, or ``box``; the folder is beside a file, and for a hub id below the working
            directory.
    """
    local = BOX_FOLDER if is_box(path) else located(path)
    return local.parent / f"{local.stem}.{FOLDER}" if local.is_file() else local / FOLDER


def fitted_identity(path: Path | str) -> str | None:
    """An identity of the model fitted to a codec, from the bytes of its tensors; None where there is no model.

    Args:
        path: folder of the fitted model.
    """
    tensors = Path(path) / TENSORS
    return hashlib.sha256(tensors.read_bytes()).hexdigest()[:32] if tensors.is_file() else None


class Coders:
    """The coders of a codec's codes.

    Args:
        codec: codec of the codes.
        fitted: frequencies and language model that were fitted to the codec's codes; None without them.

    Attributes:
        fitted: frequencies and language model; None without them.
    """

    def __init__(self, codec: Codec, fitted: FittedModel | None = None) -> None:
        self._codec, self.fitted = codec, fitted
        self._made: dict[str, CodesCoder] = {}

    @classmethod
    def beside(cls, codec: Codec, path: Path | str, folder: Path | None = None) -> "Coders":
        """The coders of a codec, with the model that was fitted to it and is beside it in ``language_model``.

        Args:
            codec: codec of the codes.
            path: path of the codec or its run.
            folder: folder of the fitted model; None takes ``language_model`` beside the codec.

        Raises:
            ValueError: the model is of another codec or cannot be read, or there is none in the given ``folder``.
        """
        if folder is not None:
            return cls(codec, load_fitted(folder, codec))
        folder = language_model_folder(path)
        return cls(codec, load_fitted(folder, codec) if (folder / CONFIG).is_file() else None)

    @property
    def model(self) -> LanguageModel | None:
        """The language model, in floating point; None where there is none."""
        return None if self.fitted is None else self.fitted.model

    @property
    def names(self) -> list[str]:
        """Names of the coders that the codec has."""
        prior = ["prior"] if self._codec.quantizer.log_prior() is not None else []
        return ["none", *prior, *(["static", "lm"] if self.fitted else [])]

    def named(self, name: str) -> CodesCoder:
        """A coder by name.

        Raises:
            ValueError: the codec has no coder of that name; the message lists those it has.
        """
        if name not in self.names:
            more = "" if self.fitted else f"; static and lm need a fitted model in its folder {FOLDER}"
            raise ValueError(f"the codec has no entropy coder {name!r}; it has: {', '.join(self.names)}{more}")
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> CodesCoder:
        if name == "none":
            return PackedCoder(self._codec.quantizer.codebook_sizes)
        if name == "prior":
            prior = self._codec.quantizer.log_prior()
            assert prior is not None
            return PriorCoder(prior.detach().double().cpu().numpy())
        assert self.fitted is not None
        return TableCoder(list(self.fitted.counts)) if name == "static" else ModelCoder(self.fitted.model)

    def of_header(self, header: Header) -> CodesCoder:
        """The coder with which a file was written.

        Raises:
            ContainerError: the codec does not have this coder here.
        """
        name = NAMES.get(header.coder)
        if name is None:
            raise ContainerError(
                f"its codes need the entropy coder number {header.coder}, which this codeclab does not know"
            )
        if name not in self.names:
            raise ContainerError(
                f"its codes need the entropy coder {name!r}; the codec has {', '.join(self.names)} here, and no "
                f"folder {FOLDER}"
            )
        return self.named(name)
