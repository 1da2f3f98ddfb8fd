"""An experiment built from a command's words: LightningCLI over a recipe, a run folder around it."""

import copy
import sys
from pathlib import Path
from typing import Any

import lightning
import yaml
from jsonargparse import ArgumentError
from lightning.pytorch.cli import LightningArgumentParser

from codeclab.codecs.io.workers import end_workers
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.flags import Request, at_present, read_request
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.config.recipes import link_parts
from codeclab.experiments.config.words import Words, read_words
from codeclab.experiments.data.readers import ReaderDiedError
from codeclab.experiments.runs.arguments import OWNERS, add_run_arguments, explain_refusal
from codeclab.experiments.runs.checkpoint import RunCheckpoint
from codeclab.experiments.runs.corpus_record import differences, list_corpus, read_record, write_record
from codeclab.experiments.runs.folder import RunFolder, RunFolderError, derived_name
from codeclab.experiments.runs.init_from import begin_from, find_source
from codeclab.experiments.runs.left_out import CountLeftOut
from codeclab.experiments.runs.loggers import make_loggers
from codeclab.experiments.runs.non_finite import report_non_finite
from codeclab.experiments.runs.precision import has_fast_bf16, refuse_precision, trains_on_cpu
from codeclab.experiments.runs.process import Notes, say
from codeclab.experiments.runs.progress import RunProgress
from codeclab.experiments.runs.refusals import check_built, rate_advice, refuse_weight_of_nothing, training_remarks
from codeclab.experiments.runs.run_cli import RunCLI
from codeclab.experiments.runs.samples import SaveSamples
from codeclab.experiments.runs.training_data import keep_splits
from codeclab.experiments.train.logs import TrainingLogs
from codeclab.experiments.train.non_finite import NonFiniteLossError
from codeclab.experiments.train.parts import import_parts
from codeclab.experiments.train.validation import Validation
from codeclab.quantizers.rate_error import RateError


class CodecCLI(RunCLI):
    """A run with recipes by name, scales and linked arguments; it builds, and runs nothing.

    Args:
        command: ``fit``, ``validate`` or ``test``.
        request: request of the command line.
    """

    owners = OWNERS

    def __init__(self, command: str, request: Request) -> None:
        self.command = command
        self.request = request
        super().__init__(command, request.settings)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link what parts share, and add the run's own arguments."""
        link_parts(parser)
        add_run_arguments(parser)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Check the tree of settings, and choose the run's folder.

        Raises:
            RecipeError: a setting or precision that cannot work.
            RunFolderError: the folder holds another experiment.
        """
        try:
            config = parser.parse_object(copy.deepcopy(args))  # which it changes
        except ArgumentError as error:
            known = [action.dest for action in parser._actions]
            raise RecipeError(explain_refusal(str(error), self.request, known)) from error
        self.config = config
        self.settings = at_present(yaml.safe_load(parser.dump(config, skip_unset=False)))
        own = self.request.folder or (Path(config.runs) / config.name if config.name else None)
        self.source = find_source(self.settings, RunFolder(own) if own else None) if self.command == "fit" else None
        parts = [self.request.label] if self.request.label else [self.request.recipe, self.request.scale]
        name = config.name or derived_name("-".join(part for part in parts if part), self.settings)
        self.folder = RunFolder(self.request.folder or Path(config.runs) / name)
        # What is requested, before this machine chooses anything: from this, the run is built anew anywhere.
        self.requested: dict[str, Any] = copy.deepcopy(self.settings)
        if self.command == "fit":
            self._choose_precision()
        refuse_precision(str(self.config.trainer.precision))
        if self.command == "fit" and not self.request.dry_run:
            self.refuse_differences("choose another --name")

    def _choose_precision(self) -> None:
        """Choose a precision if none was given: a continued run keeps its own, a new one takes the processor's fastest.

        The run's derived name does not depend on it: the same command finds the same run on another machine.
        """
        trainer = self.config.trainer
        self.remarks: list[str] = []
        if trainer.precision is not None:
            return
        if self.folder.config.is_file():
            trainer.precision = (self.folder.settings.get("trainer") or {}).get("precision")
        elif trains_on_cpu(trainer.accelerator) and has_fast_bf16():
            trainer.precision = "bf16-mixed"
            self.remarks.append(
                "networks run in bfloat16 on this processor; for float32 use --trainer.precision 32-true"
            )
        self.settings["trainer"]["precision"] = trainer.precision

    def instantiate_classes(self) -> None:
        """Build everything.

        Raises:
            RecipeError: parts do not work together; where the rates of a swapped quantizer do not fit the recipe's, the
                message says which flags would.
        """
        try:
            # As LightningCLI does it, but by jsonargparse's present name.
            self.config_init = self.parser.instantiate(self.config)
            self.datamodule, self.model = self.config_init["data"], self.config_init["model"]
            keep_splits(self.datamodule, self.folder)
            self.trainer = self.instantiate_trainer()
        except ValueError as error:
            of_rates = isinstance(error, RateError)
            advice = rate_advice(self.config.model, self.request.swapped) if of_rates else ""
            raise RecipeError(f"{error}{advice}") from error

    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """The trainer with the run's loggers, checkpoints and progress."""
        check_built(self.command, self.config, self.model, self.datamodule)
        refuse_weight_of_nothing(self.request.explicit, self.config)
        self._begin()
        settings = self.config.trainer
        fits = self.command == "fit" and not self.request.dry_run
        steps = settings.max_steps
        every = min(int(settings.val_check_interval or steps), steps) if steps > 0 else 1
        logs = TrainingLogs()
        progress = RunProgress(self.folder, logs if self.config.losses == "all" else None)
        left_out = CountLeftOut(self.folder.path.name, self.folder.path if fits else None)
        after: list[lightning.Callback] = []
        if fits:
            after.append(SaveSamples(self.folder, every=every, steps=steps))
            # Last, because it may end the training: by then the others have done what a batch or a validation is due.
            after.append(RunCheckpoint(self.folder, every, steps, self.config.checkpoint_minutes))
        # In this order: what is logged of a batch stands in metrics.csv before the checkpoint that continues after it.
        callbacks = self.with_own_callbacks([logs, Validation(), progress, left_out], after)
        kwargs |= {"callbacks": callbacks, "val_check_interval": every, "default_root_dir": str(self.folder.path)}
        trainer = self.make_trainer(steps, **kwargs)
        if self.command == "fit":
            self.model.refuse_graphs(trainer)
        if fits:
            self._open_folder(trainer)
        return trainer

    def brief_trainer(self, batches: int, callback: lightning.Callback) -> lightning.Trainer:
        """A trainer of a few batches that validates, logs and keeps nothing: the run's own callbacks are not in it.

        Args:
            batches: number of batches to train.
            callback: callback that watches them.
        """
        steps = self.config.trainer.max_steps
        nothing = {"logger": False, "limit_val_batches": 0, "val_check_interval": batches}
        # An epoch of so many batches: learning rates go by the steps of the whole run.
        end = {"max_epochs": 1, "limit_train_batches": batches, "max_steps": -1 if steps < 0 else max(steps, batches)}
        return self.make_trainer(batches, callbacks=[callback], **nothing, **end)

    def _begin(self) -> None:
        """Take the weights of ``--init``; a run that has a checkpoint goes on from that."""
        self.origin = ""
        if self.source is not None and not self.folder.last.is_file():
            self.origin = f"init: {begin_from(self.source, self.model, self.settings)}"
        elif self.settings["init"] is not None:
            self.origin = f"init: {self.settings['init']} ({self.settings['init_identity']})"
        self.source = None  # its tensors are not needed a second time

    def _open_folder(self, trainer: lightning.Trainer) -> None:
        """Start or continue the run's folder, last of all, so that a command that is refused leaves none."""
        self.hold_lock("choose another --name")
        if changed := self.folder.changed_code(self.settings):
            say(f"note: {changed}")
        self.resume = self.folder.open(self.settings)
        self.start = self.folder.steps
        listed = list_corpus(self.datamodule.corpus)
        if changed := differences(read_record(self.folder.corpus), listed):
            say(f"note: {self.folder.path.name}: {changed}")  # a table's rows, too, where all else was said before
        if self.resume is None or self.folder.corpus.is_file():
            write_record(self.folder.corpus, listed)
        request = self.request
        due = self.folder.validation_due
        loggers = make_loggers(self.folder, self.settings, self.start, request.recipe, request.scale, due)
        self.add_loggers(trainer, loggers)

    def execute(self) -> None:
        """Run the command.

        Raises:
            RunFolderError: there is no checkpoint to validate or test.
            NonFiniteLossError: a loss became NaN or infinite; its batch is saved.
            ReaderDiedError: a process that reads audio died; all that was trained is kept.
            Stopped: a signal requested it; all that was trained is kept.
        """
        try:
            self._execute()
        except RuntimeError as error:  # torch raises one wherever the program is when a loader's process dies
            if self.datamodule.readers.died and not isinstance(error, NonFiniteLossError):
                raise ReaderDiedError(self.datamodule.readers.died) from error
            raise

    def _execute(self) -> None:
        if self.command != "fit":
            checkpoint = Path(self.config.ckpt_path) if self.config.ckpt_path else self.folder.best
            if not checkpoint.is_file():
                raise RunFolderError(f"no checkpoint {checkpoint}; give --ckpt_path, or --config RUN_FOLDER")
            measure = self.trainer.validate if self.command == "validate" else self.trainer.test
            measure(self.model, self.datamodule, ckpt_path=str(checkpoint))
            return
        if self.resume is None:
            # A table has said what this machine chooses, once for all of its rows.
            for remark in [self.origin, *([] if self.config.made_for else self.remarks)]:
                if remark:
                    say(remark)
        self.datamodule.n_batches = self.config.trainer.max_steps
        run = self.folder.path
        try:
            # A table measures the codec next.
            advice = "" if self.config.made_for else f"; to measure its codec: codeclab evaluate {run}"
            self.train(f". Its codec: {self.folder.codec}", advice)
        except NonFiniteLossError as error:
            print(report_non_finite(error, self.folder), file=sys.stderr)
            raise
        finally:
            end_workers()


def build(command: str, argv: list[str]) -> CodecCLI:
    """Parse a command's arguments and build what they describe, as ``build_typed`` does."""
    return build_typed(command, read_words(argv))


def build_typed(command: str, words: Words, label: str | None = None, notes: Notes | None = None) -> CodecCLI:
    """Build and check everything a command needs.

    Args:
        command: ``fit``, ``validate`` or ``test``.
        words: arguments of the command, parsed.
        label: beginning of a derived run name; None takes the recipe's and the scale's names.
        notes: printer of notes on what is left out; None says each thing once.

    Raises:
        RecipeError: a part, argument, recipe or scale that does not exist or cannot work.
        RunFolderError: the run's folder holds another experiment.
    """
    request = read_request(words)
    request.label = label
    notes = notes or Notes()
    for line in request.dropped:
        notes(line)
    cli = CodecCLI(command, request)
    for line in training_remarks(cli.config, cli.model) if command == "fit" else ():
        notes(line)
    return cli


def build_resolved(config: dict[str, Any]) -> CodecCLI:
    """A training from its resolved settings, as ``CodecCLI.requested`` holds them: no recipe or scale is read.

    Raises:
        RecipeError: they cannot work here.
        RunFolderError: the run's folder holds another experiment.
    """
    import_parts()
    import_files(config.get("import") or [])
    made_for = config.get("made_for") or {}
    request = Request(settings=copy.deepcopy(config), recipe=made_for.get("recipe") or "run")
    return CodecCLI("fit", request)


class BareCLI(CodecCLI):
    """Makes the parser, parses nothing and builds nothing."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Leave the seed alone, as there are no settings."""
        self.config = {"seed_everything": False}

    def instantiate_classes(self) -> None:
        """Build nothing."""


def make_parser(command: str) -> LightningArgumentParser:
    """The parser of ``fit``, ``validate`` or ``test``: what it knows, and its help."""
    import_parts()  # whose names help lists
    return BareCLI(command, Request()).parser
