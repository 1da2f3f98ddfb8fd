"""A run's own arguments, beside those of its parts, its data and the trainer; and the message where one is wrong."""

from collections.abc import Iterable
from typing import Any, Literal

import lightning
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat

from codeclab.experiments.config.flags import Request
from codeclab.experiments.config.hints import hints_of
from codeclab.experiments.config.messages import explain
from codeclab.experiments.config.nodes import leaves
from codeclab.experiments.config.parts import all_slots, read_node
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.tracking.describe_run import MadeFor
from codeclab.experiments.train.module import CodecExperiment

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_epochs": -1,
    "num_sanity_val_steps": 0,
    "check_val_every_n_epoch": None,
    "use_distributed_sampler": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "enable_progress_bar": False,
    "logger": False,
    "log_every_n_steps": 10,
}


REQUIRED = {
    "model.sample_rate": "a whole number",
    "model.encoder": "an encoder's name",
    "model.quantizer": "a quantizer's name",
    "model.decoder": "a decoder's name",
}
"""What has no default, and what it should be."""


def channels(encoder: Namespace) -> int:
    """Audio channels of a parsed encoder; one where it does not say."""
    return int(encoder.get("init_args", Namespace()).get("channels", 1))


RUN_ARGUMENTS: dict[str, tuple[Any, Any, str]] = {
    "name": (str | None, None, "the run's name"),
    "runs": (str, "runs", "where runs are kept"),
    "init": (str | None, None, "codec or run whose weights training starts from"),
    "init_parts": (
        list[Literal["encoder", "quantizer", "decoder"]] | None,
        None,
        "parts that take the weights of --init (default: all); the other parts start untrained",
    ),
    "init_identity": (str | None, None, "identity that --init must have"),
    "checkpoint_minutes": (
        NonNegativeFloat,
        15.0,
        "longest time between two last.ckpt, in minutes; 0 saves only around validations",
    ),
    "losses": (Literal["main", "all"], "main", "losses that the progress shows"),
    "ckpt_path": (str | None, None, "checkpoint to validate or test"),
    "made_for": (MadeFor | None, None, "the row of a table that this makes"),
    "import": (list[str], [], "Python files with your own parts"),
}
"""Type, default and explanation of each."""

OWNERS: dict[str, type] = {"model": CodecExperiment, "data": AudioData, "trainer": lightning.Trainer}
"""Whose arguments the settings of a section are."""


def add_run_arguments(parser: ArgumentParser) -> None:
    """Add them to a parser, and link what the data and the losses follow."""
    parser.link_arguments("model.sample_rate", "data.sample_rate")
    parser.link_arguments("model.sample_rate", "model.spectral_loss.init_args.sample_rate")
    parser.link_arguments("model.encoder", "data.channels", compute_fn=channels)
    parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
    parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
    for name, (kind, default, text) in RUN_ARGUMENTS.items():
        parser.add_argument(f"--{name}", type=kind, default=default, help=text)


def explain_refusal(error: str, request: Request, known: Iterable[str]) -> str:
    """Why the parser refused the request of a command.

    Args:
        error: the parser's message.
        request: request that it was given.
        known: dotted names of all settings there are.
    """
    hints = {name: kind for name, (kind, _, _) in RUN_ARGUMENTS.items()} | {"seed_everything": bool | int | None}
    for section, owner in OWNERS.items():
        hints |= dict(hints_of(owner, section))
    for slot, base in all_slots().items():
        section, _, name = slot.partition(".")
        node = request.settings.get(section, {}).get(name)
        for one in node if isinstance(node, list) else [node]:
            kind = read_node(slot, base, one)[0] if one else None
            hints |= dict(hints_of(kind, slot)) if kind else {}
        hints.pop(slot)  # which part stands there was checked when it was named
    return explain(error, list(leaves(request.settings)), hints, known, REQUIRED)
