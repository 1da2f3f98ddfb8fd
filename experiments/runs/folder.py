"""The folder of a run: its name, its config, and the settings that may differ when it is continued."""

import dataclasses
import hashlib
import inspect
import json
import sys
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.wording import by_number
from codeclab.experiments.config.messages import shorten
from codeclab.experiments.config.moved import moved
from codeclab.experiments.config.own_code import FOLDER

MACHINE_KEYS = (
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.default_root_dir"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.log_every_n_steps"),
    *("trainer.profiler", "trainer.logger", "trainer.callbacks"),
    *("data.workers", "data.max_left_out", "model.cuda_graphs"),
    *("name", "runs", "config", "ckpt_path", "checkpoint_minutes", "losses", "weights_only", "made_for"),
    "init",  # its identity counts, wherever it lies
)
"""Settings of the machine, not of the experiment: they do not change a run's name, and do not prevent continuing it."""

ADDED = ("window_lengths",)
"""Arguments that parts got later: without a value, a run is the same as before them."""

STARTS = ("model.adversarial_start", "model.quantizer_start")
"""Settings that a scale derives from the number of steps, and that a longer run should keep."""

DIGITS = 8
"""Length of the hash in the name of a run, or of figures that are moved aside."""

CHECKPOINT_STATE = "RunCheckpoint"
"""Key under which a checkpoint stores the state of the callback that wrote it."""

VALIDATION_DUE = "validation_due"
"""Key in that state: whether the validation at the checkpoint's batch is still to come."""


class RunFolderError(ValueError):
    """A run folder cannot be used as requested; the message says why and what would work."""


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """A nested config as one level of dotted keys; items of lists are numbered."""
    if isinstance(config, dict) and config:
        pairs = [(f"{prefix}.{key}" if prefix else str(key), value) for key, value in config.items()]
    elif isinstance(config, list | tuple) and any(isinstance(item, dict) for item in config):
        pairs = [(f"{prefix}[{index}]", value) for index, value in enumerate(config)]
    else:
        return {prefix: list(config) if isinstance(config, tuple) else config}
    flat: dict[str, Any] = {}
    for key, value in pairs:
        flat |= flatten(value, key)
    return flat


def experiment_settings(config: dict[str, Any]) -> dict[str, Any]:
    """The flat settings of the experiment, without those of the machine, with parts by their first paths."""
    settings = {
        key: moved(value, back=True) if key.endswith(".class_path") and isinstance(value, str) else value
        for key, value in flatten(config).items()
        if not any(key == machine or key.startswith(f"{machine}.") for machine in MACHINE_KEYS)
        and not (value is None and key.rpartition(".")[2] in ADDED)
    }
    if settings.get("init_identity") is None:
        settings.pop("init_identity", None)
    return settings


def digest(content: Any) -> str:
    """``DIGITS`` characters that differ if anything differs, for the name of a file or folder."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]


def derived_name(recipe: str, config: dict[str, Any]) -> str:
    """A name made of the recipe's name and a hash of the resolved config; it does not depend on the time."""
    return f"{recipe}-{digest(experiment_settings(config))}"


class RunFolder:
    """The folder ``runs/<name>/`` of one run.

    Args:
        path: the folder; made when the run starts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.checkpoints = path / "checkpoints"
        self.last = path / "checkpoints" / "last.ckpt"
        self.best = path / "checkpoints" / "best.ckpt"
        self.codec = path / "codec"
        self.metrics = path / "metrics.csv"
        self.timing = path / "timing.json"
        self.samples = path / "samples"
        self.corpus = path / "corpus.csv"
        self.imports = path / FOLDER

    @property
    def settings(self) -> dict[str, Any]:
        """The run's resolved settings; empty where it has none yet."""
        return (yaml.safe_load(self.config.read_text(encoding="utf-8")) or {}) if self.config.is_file() else {}

    @property
    def steps(self) -> int:
        """Batches trained up to the last checkpoint."""
        return int(self._last_state["global_step"]) if self.last.is_file() else 0

    @property
    def validation_due(self) -> bool:
        """Whether the last checkpoint was written before a validation that was not finished."""
        callbacks = self._last_state.get("callbacks", {})
        return bool(callbacks.get(CHECKPOINT_STATE, {}).get(VALIDATION_DUE, False))

    @property
    def _last_state(self) -> dict[str, Any]:
        # Mapped, so that of a large checkpoint only the numbers that are asked for are read.
        return torch.load(self.last, map_location="cpu", weights_only=True, mmap=True) if self.last.is_file() else {}

    @property
    def train_seconds(self) -> float | None:
        """Seconds that its training took, over all its continuations; None where it has none."""
        return float(json.loads(self.timing.read_text())["train_seconds"]) if self.timing.is_file() else None

    def is_finished(self, steps: int) -> bool:
        """Whether this number of batches is trained and the end of the run is complete."""
        return self.steps >= steps and not self.validation_due

    def differences(self, config: dict[str, Any], defaults: dict[str, Any] | None = None) -> list[str]:
        """Lines that say where a config differs from the stored one; empty when it may be continued.

        More steps than before are no difference: schedules do not depend on the number of steps. Nor is an argument
        that the stored config lacks, because its class did not have it yet, and that has its default now.

        Args:
            config: the resolved config.
            defaults: defaults of the classes' arguments, by flat key, as ``class_defaults`` gives them.
        """
        return list(self._differences(config, defaults).values())

    def _differences(self, config: dict[str, Any], defaults: dict[str, Any] | None) -> dict[str, str]:
        """The lines of ``differences`` by key."""
        if not self.config.is_file():
            return {}
        settings = self.settings
        stored = experiment_settings(settings)
        wanted = experiment_settings(yaml.safe_load(yaml.safe_dump(config, sort_keys=False)))
        known = experiment_settings(defaults or {})
        lines: dict[str, str] = {}
        longer: dict[str, str] = {}
        for key in sorted(stored.keys() | wanted.keys()):
            before, now = stored.get(key), wanted.get(key)
            if key not in stored and key in known and known[key] == now:
                continue
            if key == "trainer.max_steps" and isinstance(before, int) and isinstance(now, int) and now > before > 0:
                longer = {key: f"  {key}: {before} in the run, {now} now (which may grow)"}
                continue
            if before != now and key == "init_identity":
                given = f"{config.get('init')} ({now})"
                lines[key] = f"  init: {settings.get('init')} ({before}) in the run, {given} now"
            elif before != now:
                lines[key] = f"  {key}: {before} in the run, {now} now"
        return lines | longer if lines else {}

    def refuse_differences(
        self, config: dict[str, Any], defaults: dict[str, Any] | None = None, advice: str = "choose another --name"
    ) -> None:
        """Refuse to continue another experiment; arguments are those of ``differences``, and advice for another folder.

        Raises:
            RunFolderError: the folder holds a run with other settings; the message lists the differences.
        """
        if differences := self._differences(config, defaults):
            listed = "\n".join(differences.values())
            message = (
                f"{self.path} holds a run with other settings:\n{listed}\n"
                f"Repeat the run's own command to continue it, or {advice}."
            )
            raise RunFolderError(shorten(message) + self._flags_to_train_on(differences))

    def _flags_to_train_on(self, keys: Collection[str]) -> str:
        """A sentence with the flags that keep what a scale derives from the number of steps; empty if others differ."""
        *others, longer = keys
        stored = experiment_settings(self.settings)
        if longer != "trainer.max_steps" or not others or any(key not in STARTS for key in others):
            return ""
        flags = " ".join(f"--{key} {stored.get(key, 0)}" for key in others)
        return f" To train it on for more batches, add {flags}."

    def changed_code(self, config: dict[str, Any], measured: Collection[str] = ()) -> str:
        """A remark on the Python files of a config that are not as the run has kept them; empty if all are.

        Args:
            config: the resolved config.
            measured: names of the modules whose metrics will be measured again if they have changed.
        """
        files = [Path(file).expanduser() for file in config.get("import") or []]
        copies = [(file, self.imports / file.name) for file in files if file.is_file()]
        changed = [file.name for file, copy in copies if copy.is_file() and copy.read_bytes() != file.read_bytes()]
        if not changed:
            return ""
        have = by_number(len(changed), "has", "have")
        since = f"changed since {self.path.name} began"
        again = any(Path(name).stem in measured for name in changed)
        stays = "stays as it is, and is measured again" if again else "and measured stays as it is"
        return f"{', '.join(changed)} {have} {since}; what is trained {stays}"

    def open(self, config: dict[str, Any]) -> Path | None:
        """Start or continue the run; returns the checkpoint to continue from, None at the start."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.config, yaml.safe_dump(config, sort_keys=False))
        self.keep_code(config)
        return self.last if self.last.is_file() else None

    def keep_code(self, config: dict[str, Any]) -> None:
        """Copy the Python files of a config into the run, as they are now."""
        for file in map(Path, config.get("import") or []):
            # Where it is there no more, the run's copy of it was imported.
            if file.expanduser().is_file():
                write_atomically(self.imports / file.name, file.expanduser().read_bytes())


def class_defaults(settings: dict[str, Any], owners: Mapping[str, type]) -> dict[str, Any]:
    """The defaults of all arguments.

    Args:
        settings: a resolved config: parts as ``class_path`` and ``init_args``.
        owners: the class of each section, such as ``{"model": CodecExperiment}``.

    Returns:
        values by flat key, such as ``model.quantizer.init_args.decay``; arguments without a default are left out.
    """
    defaults: dict[str, Any] = {}
    for section, owner in owners.items():
        defaults |= _of_arguments(settings.get(section) or {}, owner, section)
    return defaults


def _of_arguments(values: dict[str, Any], owner: type, path: str) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for name, parameter in inspect.signature(owner).parameters.items():
        key, default = f"{path}.{name}", parameter.default
        if default is not inspect.Parameter.empty:
            defaults |= flatten(_plain(default), key)
        defaults |= _of_value(values.get(name), parameter.annotation, key)
    return defaults


def _of_value(value: Any, annotation: Any, path: str) -> dict[str, Any]:
    """Defaults inside an argument's value: of a part, of each of several, or of a group of settings."""
    defaults: dict[str, Any] = {}
    if isinstance(value, list):
        for index, item in enumerate(value):
            defaults |= _of_value(item, annotation, f"{path}[{index}]")
    elif isinstance(value, dict) and "class_path" in value:
        module, _, name = str(value["class_path"]).rpartition(".")
        part = getattr(sys.modules.get(module), name, None)
        if isinstance(part, type):
            defaults |= _of_arguments(value.get("init_args") or {}, part, f"{path}.init_args")
    elif isinstance(value, dict):
        for kind in typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,):
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                defaults |= _of_arguments(value, kind, path)
    return defaults


def _plain(value: Any) -> Any:
    """A default as YAML holds it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
