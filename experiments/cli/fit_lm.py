"""``codeclab fit-lm``: train the language model that codes a codec's codes in fewer bits."""

import sys
from pathlib import Path

from lightning.pytorch.utilities.exceptions import MisconfigurationException

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import language_model_folder
from codeclab.experiments.cli.options.fit_lm import make_parser
from codeclab.experiments.config.recipes import RecipeError, import_file
from codeclab.experiments.language_model.build import LanguageModelCLI
from codeclab.experiments.runs.training_data import data_settings, run_of
from codeclab.experiments.train.non_finite import NonFiniteLossError


def trained_on(run: Path) -> str | None:
    """The audio that a run was trained on, from its config.

    Raises:
        RecipeError: there is no such config.
    """
    found = run_of(run)
    if found is None:
        raise RecipeError("which audio? Give --data FOLDER; only a run remembers what it was trained on")
    folder = data_settings(found)["folder"]
    return None if folder is None else str(folder)


def run(command: str, argv: list[str]) -> int:
    """``codeclab fit-lm``; returns the exit status."""
    options, words = make_parser().parse_known_args(argv)
    try:
        for file in options.imports:
            import_file(file)
        codec = Codec.from_pretrained(options.codec).to(options.device)
        if options.data is None and not any(word.startswith("--data.folder") for word in words):
            options.data = trained_on(Path(options.codec)) or "synthetic"
        folder = Path(options.output) if options.output else language_model_folder(options.codec)
        words += ["--data", options.data] if options.data else []
        cli = LanguageModelCLI(codec, folder, options.config, words)
        cli.execute()
    except (ValueError, OSError, MisconfigurationException) as error:
        print(f"codeclab fit-lm: {error}", file=sys.stderr)
        return 2
    except NonFiniteLossError as error:
        print(
            f"codeclab fit-lm: stopped: {error}; the same command continues from the last checkpoint", file=sys.stderr
        )
        return 1
    return 0
