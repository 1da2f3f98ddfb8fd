"""A language model's run, built from a command's words: LightningCLI over its recipe, a run folder around it."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import lightning
import yaml
from jsonargparse import ArgumentError
from lightning.pytorch.cli import LightningArgumentParser

from codeclab.codecs.codec import Codec
from codeclab.codecs.io.folder import identity
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.hints import hints_of
from codeclab.experiments.config.messages import explain
from codeclab.experiments.config.nodes import leaves
from codeclab.experiments.language_model.checkpoint import LanguageModelCheckpoint
from codeclab.experiments.language_model.module import LanguageModelExperiment
from codeclab.experiments.language_model.recipe import LanguageModelRecipe
from codeclab.experiments.language_model.sequences import CodesData
from codeclab.experiments.language_model.start import start_from_codec
from codeclab.experiments.runs.arguments import RUN_ARGUMENTS
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.loggers import make_loggers
from codeclab.experiments.runs.precision import refuse_precision
from codeclab.experiments.runs.progress import RunProgress
from codeclab.experiments.runs.refusals import refuse_no_batches
from codeclab.experiments.runs.run_cli import RunCLI


def sizes_of(codec: Codec) -> dict[str, Any]:
    """What a language model has to know of a codec.

    Raises:
        RecipeError: its codebooks differ in size.
    """
    sizes = set(codec.quantizer.codebook_sizes)
    if len(sizes) > 1:
        raise RecipeError(
            "the language model is for codebooks of one size (EnCodec 3.3); this codec's "
            f"{type(codec.quantizer).__name__} has sizes {sorted(sizes)}"
        )
    return {
        "n_codebooks": codec.quantizer.n_codebooks,
        "codebook_size": sizes.pop(),
        "frame_rate": codec.frame_rate,
        "bandwidths": sorted({codec.n_codebooks_for(rate) for rate in codec.bitrates}),
    }


class LanguageModelCLI(RunCLI):
    """A run with what the codec says put in; it builds, and runs nothing.

    Args:
        codec: codec whose codes are learnt.
        folder: folder of the run.
        recipe: recipe of the run.
    """

    owners: ClassVar[Mapping[str, type]] = {
        "model": LanguageModelExperiment,
        "data": CodesData,
        "trainer": lightning.Trainer,
    }

    def __init__(self, codec: Codec, folder: Path, recipe: LanguageModelRecipe) -> None:
        self.codec = codec
        self.folder = RunFolder(folder)
        self.recipe = recipe
        super().__init__("fit-lm", recipe.settings)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """One seed for all draws, and how often ``last.ckpt`` is written, as of ``codeclab fit``."""
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        kind, default, text = RUN_ARGUMENTS["checkpoint_minutes"]
        parser.add_argument("--checkpoint_minutes", type=kind, default=default, help=text)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Check the settings, put in what the codec says, and refuse to continue another experiment.

        Raises:
            RecipeError: a setting cannot work, or the codec's codebooks differ in size.
            RunFolderError: the folder holds another experiment.
        """
        try:
            config = parser.parse_object(copy.deepcopy(args))  # which it changes
        except ArgumentError as error:
            hints = {name: hint for section, owner in self.owners.items() for name, hint in hints_of(owner, section)}
            known = [action.dest for action in parser._actions]
            raise RecipeError(explain(str(error), list(leaves(self.recipe.settings)), hints, known, {})) from error
        for name, value in sizes_of(self.codec).items():
            config.model[name] = value
        refuse_no_batches(config.trainer.max_steps)
        refuse_precision(str(config.trainer.precision))
        self.config = config
        settings: dict[str, Any] = yaml.safe_load(parser.dump(config, skip_unset=False))
        self.settings = settings | {"codec": identity(self.codec)}
        self.refuse_differences("choose another --output")

    def instantiate_classes(self) -> None:
        """Build the data, whose codes are extracted where they are not kept, the model and the trainer.

        The folder is locked first, as codes are written to it, and until the command ends.
        """
        self.hold_lock("choose another --output")
        try:
            self.config_init = self.parser.instantiate(self.config)
            self.datamodule, self.model = self.config_init["data"], self.config_init["model"]
            self.datamodule.codec, self.datamodule.cache = self.codec, self.folder.path
            self.datamodule.prepare_data()
            self.trainer = self.instantiate_trainer()
        except BaseException:
            self.lock.release()
            raise

    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """The trainer with the run's loggers, checkpoints and progress."""
        settings = self.config.trainer
        steps = settings.max_steps
        every = min(int(settings.val_check_interval or steps), steps)
        counts = self.datamodule.codes("train").counts(self.codec.quantizer.codebook_sizes)
        minutes = self.config.checkpoint_minutes
        checkpoint = LanguageModelCheckpoint(self.folder, every, steps, minutes, self.codec, counts)
        # The checkpoint last, because it may end the training.
        kwargs |= {"callbacks": self.with_own_callbacks([RunProgress(self.folder)], [checkpoint])}
        trainer = self.make_trainer(steps, val_check_interval=every, default_root_dir=str(self.folder.path), **kwargs)
        if self.model.start == "codec":
            start_from_codec(self.model.model, self.codec, counts, self.model.seed)
        self.folder.open(self.settings)
        self.start = self.folder.steps
        due = self.folder.validation_due
        name = f"language_model_{self.recipe.name}"
        self.add_loggers(trainer, make_loggers(self.folder, self.settings, self.start, name, validates=due))
        return trainer

    def execute(self) -> None:
        """Train, or go on where the run stopped.

        Raises:
            Stopped: a signal requested it; all that was trained is kept.
        """
        self.train(
            "",
            f"; to code by it: codeclab encode IN OUT --codec CODEC --entropy lm --language-model {self.folder.path}",
        )
