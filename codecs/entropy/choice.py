"""Which coder a file or a user asks for, of those that a codec has."""

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
"""Where a fitted model (``save_fitted``) lies, in a run's or a codec's folder."""

NUMBERS = {coder.name: coder.number for coder in (PackedCoder, TableCoder, PriorCoder, ModelCoder)}


def language_model_folder(path: Path | str) -> Path:
    """Where what was fitted to a codec's codes lies: in the folder of the codec, or of its run.

    Args:
        path: of the codec or its run, or ``box``; a file's is beside it, a hub id's below the working directory.
    """
    local = BOX_FOLDER if is_box(path) else located(path)
    return local.parent / f"{local.stem}.{FOLDER}" if local.is_file() else local / FOLDER


def fitted_identity(path: Path | str) -> str | None:
    """A name for what was fitted to a codec, of the bytes of its tensors; None where nothing was.

    Args:
        path: its folder.
    """
    tensors = Path(path) / TENSORS
    return hashlib.sha256(tensors.read_bytes()).hexdigest()[:32] if tensors.is_file() else None


class Coders:
    """The coders of a codec's codes.

    Args:
        codec: whose codes they code.
        fitted: its frequencies and language model; None where there are none.

    Attributes:
        fitted: the same.
    """

    def __init__(self, codec: Codec, fitted: FittedModel | None = None) -> None:
        self._codec, self.fitted = codec, fitted
        self._made: dict[str, CodesCoder] = {}

    @classmethod
    def beside(cls, codec: Codec, path: Path | str, folder: Path | None = None) -> "Coders":
        """The coders of a codec, with what was fitted to it and lies in ``language_model`` beside it.

        Args:
            codec: whose codes they code.
            path: of the codec or its run.
            folder: where it lies in place of that.

        Raises:
            ValueError: what lies there is of another codec, or cannot be read; a ``folder`` is given and holds nothing.
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
        """What can be asked for."""
        prior = ["prior"] if self._codec.quantizer.log_prior() is not None else []
        return ["none", *prior, *(["static", "lm"] if self.fitted else [])]

    def named(self, name: str) -> CodesCoder:
        """A coder by name.

        Raises:
            ValueError: the codec has none of that name; the message lists those it has.
        """
        if name not in self.names:
            more = "" if self.fitted else f"; static and lm want a fitted model in its folder {FOLDER}"
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
        """The coder that a file asks for.

        Raises:
            ContainerError: the codec has none such here.
        """
        for name, number in NUMBERS.items():
            if number == header.coder:
                if name in self.names:
                    return self.named(name)
                raise ContainerError(
                    f"its codes need the entropy coder {name!r}; the codec has {', '.join(self.names)} here, and no "
                    f"folder {FOLDER}"
                )
        raise ContainerError(
            f"its codes need the entropy coder number {header.coder}, which this codeclab does not know"
        )
