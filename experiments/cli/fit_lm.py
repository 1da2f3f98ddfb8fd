"""``codeclab fit-lm``: train the language model that codes a codec's codes in fewer bits."""

from pathlib import Path

from lightning.pytorch.utilities.exceptions import MisconfigurationException

from codeclab.codecs.codec import Codec
from codeclab.codecs.device import choose_device
from codeclab.codecs.entropy.choice import language_model_folder
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.fit_lm import make_parser
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.language_model.build import LanguageModelCLI
from codeclab.experiments.language_model.recipe import LanguageModelRecipe
from codeclab.experiments.runs.training_data import corpus_of
from codeclab.experiments.train.non_finite import NonFiniteLossError


def run(command: str, argv: list[str]) -> int:
    """``codeclab fit-lm``; returns the exit status."""
    try:
        options = make_parser().read(argv)
        import_files(options.imports)
        codec = Codec.from_pretrained(options.codec).to(choose_device(options.device))
        settings = options.settings
        if "data.folder" not in dict(settings):
            settings = [*settings, ("data.folder", corpus_of(Path(options.codec)))]
        folder = Path(options.output) if options.output else language_model_folder(options.codec)
        cli = LanguageModelCLI(codec, folder, LanguageModelRecipe.read(options.config, settings))
        cli.execute()
    except (ValueError, OSError, MisconfigurationException) as error:
        return failed("fit-lm", error)
    except RuntimeError as error:
        if not isinstance(error, NonFiniteLossError):
            raise
        return failed("fit-lm", f"stopped: {error}; the same command continues from the last checkpoint", 1)
    return 0
