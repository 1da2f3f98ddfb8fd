"""The options of ``codeclab dashboard``."""

import argparse

GROUPS = ("quantizer", "discriminators", "encoder", "decoder", "recipe", "table", "row", "scale")
"""Settings that runs can be grouped by."""


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab dashboard``."""
    parser = argparse.ArgumentParser(
        prog="codeclab dashboard",
        description="Create a workspace in a W&B project that arranges the logs of codeclab's runs: validation metrics "
        "by bitrate and domain, clips with spectrograms, losses, codebooks and speed.",
        epilog="Needs pip install 'codeclab[dashboard]' and `wandb login`",
    )
    parser.add_argument("project", metavar="ENTITY/PROJECT", help="the project, as in my-team/codeclab")
    parser.add_argument("--name", default="codeclab", help="the workspace's name (default: codeclab)")
    parser.add_argument(
        "--group",
        metavar="SETTING",
        nargs="+",
        default=[],
        choices=GROUPS,
        help=f"group runs by these settings: {', '.join(GROUPS)}",
    )
    return parser
