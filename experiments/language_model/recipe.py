"""A language model's recipe, read: its settings with those given over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeclab.experiments.config.files import LANGUAGE_MODELS, RecipeError, read_yaml, yaml_path
from codeclab.experiments.config.flags import corpus_or_text, plain
from codeclab.experiments.config.nodes import placed

OF_THE_CODEC = ("n_codebooks", "codebook_size", "frame_rate", "bandwidths")
"""Arguments of the model that its codec decides."""


@dataclass(frozen=True)
class LanguageModelRecipe:
    """What a language model is trained by, its codec aside; no file is read for it again, even if the YAML changes.

    Attributes:
        name: name of the recipe, by which the run is labelled.
        settings: settings by section.
    """

    name: str
    settings: dict[str, Any]

    @classmethod
    def read(cls, recipe: str, settings: Sequence[tuple[str, str]] = ()) -> "LanguageModelRecipe":
        """Read a recipe, and lay settings over its own.

        Args:
            recipe: name or path of the recipe.
            settings: dotted names and values, as ``SettingsParser`` reads them.

        Raises:
            RecipeError: there is no such recipe (the message lists those there are), it is not YAML, or a setting is
                the codec's.
        """
        taken = [plain(name) for name, _ in settings if plain(name).removeprefix("model.") in OF_THE_CODEC]
        if taken:
            raise RecipeError(f"--{taken[0]} is the codec's and cannot be set")
        whole: dict[str, Any] = read_yaml(yaml_path(LANGUAGE_MODELS, recipe))
        for name, value in settings:
            whole = placed(whole, plain(name).split("."), corpus_or_text(name, value), name.endswith("+"))
        return cls(Path(recipe).stem, whole)

    @property
    def steps(self) -> int:
        """Number of batches to train; 0 where the settings state none."""
        return int((self.settings.get("trainer") or {}).get("max_steps") or 0)
