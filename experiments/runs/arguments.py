"""A run's own arguments, beside those of its parts, its data and the trainer."""

from typing import Any, Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat

from codeclab.experiments.tracking.describe_run import MadeFor

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


def channels(encoder: Namespace) -> int:
    """Audio channels of a parsed encoder; one where it does not say."""
    return int(encoder.get("init_args", Namespace()).get("channels", 1))


def add_run_arguments(parser: ArgumentParser) -> None:
    """Add them to a parser, and link what the data and the losses follow."""
    parser.link_arguments("model.sample_rate", "data.sample_rate")
    parser.link_arguments("model.sample_rate", "model.spectral_loss.init_args.sample_rate")
    parser.link_arguments("model.encoder", "data.channels", compute_fn=channels)
    parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
    parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
    parser.add_argument("--name", type=str | None, default=None, help="the run's name")
    parser.add_argument("--runs", type=str, default="runs", help="where runs are kept")
    parser.add_argument("--init", type=str | None, default=None, help="codec or run whose weights training starts from")
    parser.add_argument(
        "--init_parts",
        type=list[Literal["encoder", "quantizer", "decoder"]] | None,
        default=None,
        help="which of its parts --init takes (default: all); the others start anew",
    )
    parser.add_argument("--init_identity", type=str | None, default=None, help="what --init is expected to be")
    parser.add_argument(
        "--checkpoint_minutes",
        type=NonNegativeFloat,
        default=15.0,
        help="write last.ckpt at least this often, besides before and after each validation; 0: only then",
    )
    parser.add_argument("--losses", type=Literal["main", "all"], default="main", help="which ones the progress shows")
    parser.add_argument("--ckpt_path", type=str | None, default=None, help="checkpoint to validate or test")
    parser.add_argument("--made_for", type=MadeFor | None, default=None, help="the row of a table that this makes")
    parser.add_argument("--import", type=list[str], default=[], help="Python files with your own parts")
