"""A run's W&B log, which never stops or slows the training it logs, and whether the server can be used."""

import base64
import importlib.util
import json
import netrc
import os
import re
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from codeclab.benchmarks.metrics.registry import METRICS

DEFAULT_SERVER = "https://api.wandb.ai"

PATIENCE = 5.0
"""Seconds a server has to answer."""


def server_url() -> str:
    """The W&B server in use: WANDB_BASE_URL, or the public one."""
    return (os.environ.get("WANDB_BASE_URL") or DEFAULT_SERVER).rstrip("/")


def api_key() -> str | None:
    """The user's key: WANDB_API_KEY, or that in ``~/.netrc``, where ``wandb login`` puts it; None without a login."""
    if key := os.environ.get("WANDB_API_KEY"):
        return key
    try:
        known = netrc.netrc(os.environ.get("NETRC")).authenticators(urlsplit(server_url()).hostname or "")
    except (OSError, netrc.NetrcParseError):
        return None
    return known[2] if known else None


def wandb_mode() -> str:
    """``online`` where the user is logged in, otherwise ``offline``; WANDB_MODE, if set, is obeyed.

    Only files and the environment are read: nothing is asked and no network is touched.
    """
    if mode := os.environ.get("WANDB_MODE"):
        return {"dryrun": "offline"}.get(mode, mode)  # as W&B once called it
    return "online" if api_key() else "offline"


def server_problem(patience: float = PATIENCE) -> str | None:
    """Why the server cannot be used, in a few words; None where it answers and knows the user.

    W&B itself would try again for half a minute, and then raise.

    Args:
        patience: seconds it has to answer.
    """
    url, key = server_url(), api_key()
    request = urllib.request.Request(
        f"{url}/graphql",
        data=json.dumps({"query": "query Viewer { viewer { id } }"}).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "codeclab"},
    )
    if key:
        request.add_header("Authorization", f"Basic {base64.b64encode(f'api:{key}'.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=patience):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            return f"{url} refuses the login ({error.code})"
        return f"{url} answers {error.code}" if error.code >= 500 or error.code == 429 else None
    except (OSError, ValueError) as error:
        return f"{url} cannot be reached ({getattr(error, 'reason', error)})"


PROJECT = "codeclab"

X_AXIS = "batch"

START_SECONDS = 20

UPLOAD_SECONDS = 120
"""How long the end of a run waits for what is not uploaded yet; what is left over, ``wandb sync`` uploads."""


def is_wanted() -> bool:
    """Whether anything is logged to W&B: it is installed, and not disabled."""
    return importlib.util.find_spec("wandb") is not None and wandb_mode() != "disabled"


def known_id(folder: Path) -> str:
    """The id of the W&B run whose logs lie in a folder, so that it is continued; a new one where there are none."""
    for log in sorted(folder.glob("wandb/*run-*")):
        if match := re.fullmatch(r"(?:offline-)?run-\d{8}_\d{6}-(\w+)", log.name):
            return match[1]
    return secrets.token_hex(4)


def start_run(folder: Path, name: str, described: Mapping[str, Any]) -> Any:
    """Start or continue the W&B run of a folder: online where the server answers, else offline with a note.

    Args:
        folder: where its log is written.
        name: of the run.
        described: more arguments of ``wandb.init``: ``config``, ``group``, ``tags``, ``job_type``, ``project``.
    """
    # W&B would report its own errors to the server, offline, too.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    mode = wandb_mode()
    problem = server_problem() if mode == "online" else None
    settings: dict[str, Any] = {
        "silent": True,
        "console": "off",
        "init_timeout": START_SECONDS,
        "finish_timeout": UPLOAD_SECONDS,
    }
    told: dict[str, Any] = {"project": os.environ.get("WANDB_PROJECT", PROJECT)} | dict(described)
    told |= {"name": name, "id": known_id(folder), "dir": str(folder), "reinit": "create_new"}
    folder.mkdir(parents=True, exist_ok=True)
    if mode == "online" and problem is None:
        try:
            run = wandb.init(mode="online", resume="allow", settings=wandb.Settings(**settings), **told)
            print(f"W&B: {run.url}", file=sys.stderr)
            return run
        except wandb.Error as error:
            problem = _first_line(error)
    if problem:
        print(f"note: W&B: {problem}; logging offline, for `wandb sync {folder}/wandb`", file=sys.stderr)
    settings["x_disable_stats"] = True
    return wandb.init(mode="offline", resume="allow", settings=wandb.Settings(**settings), **told)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


class RunWandb(Logger):
    """W&B's log of a training run, begun before the first batch and ended with the training.

    Its x-axis is the number of batches; validation metrics keep their best as the run's summary. What goes wrong in it
    is said once, and ends the log alone.

    Args:
        folder: the run's.
        described: what ``start_run`` is told.
        codec: the saved codec's folder, kept as an artifact at the end.
        best: the best checkpoint's file.
    """

    def __init__(self, folder: Path, described: Mapping[str, Any], codec: Path, best: Path) -> None:
        super().__init__()
        self.folder = folder
        self.described = described
        self.codec = codec
        self.best = best
        self.run: Any = None
        self.failed = False

    @property
    def name(self) -> str:
        """The logger's name."""
        return "wandb"

    @property
    def version(self) -> str:
        """The id of the W&B run; empty before it has begun."""
        return str(self.run.id) if self.run is not None else ""

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Any = None) -> None:
        """Begin the run: the trainer calls this before the first batch."""
        self._try(lambda run: None)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log figures, or audio and images, of the state after ``step`` batches."""
        values = {key: value for key, value in metrics.items() if key != "epoch"}
        if values:
            # The step, too, so that a continuation goes on where the run was, and repeats nothing.
            self._try(lambda run: run.log({X_AXIS: step or 0, **values}, step=step or 0))

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run's settings are told at its start."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Keep the codec, and close the run; ``status`` is ``success`` or what went wrong."""
        if self.run is None:
            return
        if status == "success":
            self._try(self._keep_codec)
        self._try(lambda run: run.finish(exit_code=0 if status == "success" else 1))
        self.run = None

    def _keep_codec(self, run: Any) -> None:
        """The saved codec as an artifact: ``latest``, and ``best`` where validation chose it."""
        import wandb

        if not (self.codec / "config.json").is_file():
            return
        artifact = wandb.Artifact(f"codec-{run.id}", type="codec", metadata={"run": self.folder.name})
        for path in sorted(self.codec.iterdir()):
            # Immutable, so that W&B keeps no second copy of it.
            artifact.add_file(str(path), name=path.name, policy="immutable", skip_cache=True)
        run.log_artifact(artifact, aliases=["latest", "best"] if self.best.is_file() else ["latest"])

    def _try(self, act: Callable[[Any], Any]) -> None:
        if self.failed:
            return
        try:
            if self.run is None:
                self.run = start_run(self.folder, self.folder.name, self.described)
                define_metrics(self.run)
            act(self.run)
        except Exception as error:  # whatever W&B raises: no training may end for its log
            self.failed = True
            print(f"note: W&B: {_first_line(error)}; nothing more is logged there", file=sys.stderr)


def define_metrics(run: Any) -> None:
    """Plot everything over batches, and keep each validation metric's best, lowest or highest, as the summary."""
    run.define_metric(X_AXIS, hidden=True)
    run.define_metric("*", step_metric=X_AXIS)
    for name, metric in METRICS.items():
        run.define_metric(f"valid/{name}*", step_metric=X_AXIS, summary="max" if metric.higher_is_better else "min")
