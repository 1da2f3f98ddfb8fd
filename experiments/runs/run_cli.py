"""LightningCLI around a run's folder: what commands that train have in common."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import lightning
import torch
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from codeclab.codecs.wording import counted
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.arguments import TRAINER_DEFAULTS
from codeclab.experiments.runs.checkpoint import AtomicCheckpointIO
from codeclab.experiments.runs.disk import why_no_folder
from codeclab.experiments.runs.folder import RunFolder, RunFolderError, class_defaults
from codeclab.experiments.runs.lock import RunLock
from codeclab.experiments.runs.process import say
from codeclab.experiments.runs.slurm_shell import cluster_plugins
from codeclab.experiments.runs.stopping import Stopped, stop_request


class RunCLI(LightningCLI):
    """Builds an experiment, its data and a trainer from settings, and trains when ``train`` is called.

    Args:
        command: command of ``codeclab``.
        settings: settings by section.

    Attributes:
        owners: classes whose arguments the settings of the sections ``model``, ``data`` and ``trainer`` are.
        folder: folder of the run.
        settings: resolved, as the folder keeps them.
        start: batches trained already; all of them where nothing but a validation is left.
    """

    owners: ClassVar[Mapping[str, type]]
    folder: RunFolder
    settings: dict[str, Any]
    start: int

    def __init__(self, command: str, settings: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            # Programs under test and rows of a table give their own arguments whatever sys.argv holds.
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
            super().__init__(
                self.owners["model"],
                self.owners["data"],
                args=settings,
                run=False,
                save_config_callback=None,
                seed_everything_default=0,
                trainer_defaults=TRAINER_DEFAULTS,
                parser_kwargs={"exit_on_error": False, "allow_abbrev": False, "prog": f"codeclab {command}"},
                load_from_checkpoint_support=False,
                auto_configure_optimizers=False,
            )

    def refuse_differences(self, advice: str) -> None:
        """Refuse to continue another experiment in this one's folder; ``advice`` is for its users.

        Raises:
            RunFolderError: the folder holds one; the message lists the differences. Or nothing can be written to it.
        """
        if reason := why_no_folder(self.folder.path):
            raise RunFolderError(reason)
        self.folder.refuse_differences(self.settings, class_defaults(self.settings, self.owners), advice)

    def hold_lock(self, advice: str) -> None:
        """Keep other commands from training in the folder until ``lock.release()``; ``advice`` is for their users."""
        self.lock = RunLock(self.folder.path.parent, self.folder.path.name, "train")
        if getattr(rank_zero_only, "rank", 0) == 0:
            self.lock.hold(str(self.folder.path), advice)

    @property
    def n_devices(self) -> int:
        """Devices on which the run is trained, of each of its machines.

        Raises:
            RecipeError: ``--trainer.devices`` is neither a number nor a list of them.
        """
        devices = self.config.trainer.devices
        if isinstance(devices, list):
            return len(devices)
        if str(devices) in ("auto", "-1"):
            on_gpus = self.config.trainer.accelerator in ("auto", "gpu", "cuda")
            return max(torch.cuda.device_count(), 1) if on_gpus else 1
        numbers = [word.strip() for word in str(devices).split(",") if word.strip()]
        if not numbers or not all(number.isdigit() for number in numbers):
            raise RecipeError(f"--trainer.devices {devices}: give a number, a list as in 0,1, or auto")
        return len(numbers) if "," in str(devices) else int(numbers[0])

    @property
    def is_distributed(self) -> bool:
        """Whether the run has several devices, on one machine or on several."""
        return self.config.trainer.num_nodes > 1 or self.n_devices > 1

    def make_trainer(self, steps: int, **kwargs: Any) -> lightning.Trainer:
        """A trainer of the settings, with checkpoints that are written whole or not at all.

        Args:
            steps: batches to train.
            kwargs: arguments in place of the settings.

        Raises:
            RecipeError: ``--trainer.devices`` names no device that is there.
        """
        settings = self.config.trainer
        if steps > 0 and settings.log_every_n_steps:
            kwargs["log_every_n_steps"] = min(settings.log_every_n_steps, steps)  # Lightning warns of longer ones
        if settings.strategy == "auto" and self.is_distributed:
            # Idle ensembles and codebooks above a batch's bandwidth get no gradient.
            kwargs["strategy"] = "ddp_find_unused_parameters_true"
        self._check_devices()
        return super().instantiate_trainer(plugins=[AtomicCheckpointIO(), *cluster_plugins()], **kwargs)

    def with_own_callbacks(
        self, before: Sequence[lightning.Callback], after: Sequence[lightning.Callback] = ()
    ) -> list[lightning.Callback]:
        """The run's callbacks, in their order, around those of ``--trainer.callbacks``."""
        own = self.config_init["trainer"].callbacks or []
        return [*before, *(own if isinstance(own, list) else [own]), *after]

    def add_loggers(self, trainer: lightning.Trainer, loggers: Sequence[Logger]) -> None:
        """Give a trainer the run's loggers.

        Those of ``--trainer.logger`` stay first: a ``WandbLogger`` among them would write into a W&B run that has begun
        before it.
        """
        trainer.loggers = [*trainer.loggers, *loggers]

    def _check_devices(self) -> None:
        """Refuse devices that the accelerator takes for none; the message says what it takes."""
        devices, name = self.config.trainer.devices, self.config.trainer.accelerator
        if name in ("auto", "gpu"):
            gpus = [gpu for gpu in ("mps", "cuda") if AcceleratorRegistry[gpu]["accelerator"].is_available()]
            name = gpus[0] if gpus else "cpu" if name == "auto" else "cuda"
        if devices == "auto" or name not in AcceleratorRegistry or not AcceleratorRegistry.get(name).is_available():
            return  # of an accelerator that is not here, Lightning says so
        try:
            AcceleratorRegistry.get(name).parse_devices(devices)
        except TypeError as error:
            raise RecipeError(f"--trainer.devices {devices}: {error}") from error

    def train(self, finished: str, trained: str) -> None:
        """Train the rest of the run; if a signal stops it, the training is saved before the command ends.

        Args:
            finished: end of the line that is printed of a run in which nothing is left to do.
            trained: end of the line that is printed after the last batch.

        Raises:
            Stopped: a signal requested it.
        """
        trainer, steps = self.trainer, self.trainer.max_steps
        self.datamodule.start_batch = self.start
        try:
            if self.folder.is_finished(steps):
                say(f"{self.folder.path} is finished: {counted(self.start, 'batch', 'batches')}{finished}")
                return
            if self.start >= steps:  # to begin at all, for the validation that is left
                trainer.fit_loop.epoch_loop.max_steps = self.start + 1
            # Lightning's own handlers end a batch half way, and take SIGTERM for a success.
            setattr(trainer._signal_connector, "register_signal_handlers", lambda: None)  # noqa: B010
            last = str(self.folder.last) if self.folder.last.is_file() else None
            with stop_request().held() as stop:
                trainer.fit(self.model, self.datamodule, ckpt_path=last)
            if trainer.global_step >= steps:
                say(f"{self.folder.path} is trained{trained}")
            if stop.number is not None:
                raise Stopped(stop.number, reported=True)
        finally:
            self.lock.release()
