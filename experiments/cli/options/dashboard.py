"""The options of ``codeclab dashboard``."""

import argparse

GROUPS = ("quantizer", "discriminators", "encoder", "decoder", "recipe", "table", "row", "scale")
"""Settings that runs can be grouped by."""


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab dashboard``."""
    parser = argparse.ArgumentParser(
        prog="codeclab dashboard",
        description="Create a workspace in a W&B project that arranges what codeclab's runs log: validation figures by "
        "bitrate and domain, clips with spectrograms, losses, codebooks, speed.",
        epilog="needs pip install 'codeclab[dashboard]' and `wandb login`",
    )
    parser.add_argument("project", metavar="ENTITY/PROJECT", help="where it is created, as in my-team/codeclab")
    parser.add_argument("--name", default="codeclab", help="the workspace's name (default: codeclab)")
    parser.add_argument(
        "--group", metavar="SETTING", nargs="+", default=[], choices=GROUPS, help=f"{', '.join(GROUPS)}"
    )
    return parser
