"""``codeclab fit-lm``: train the language model by which a codec's codes take fewer bits."""

import argparse
import sys
from pathlib import Path

import yaml
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import language_model_folder
from codeclab.experiments.config.recipes import RecipeError, import_file, names
from codeclab.experiments.language_model.build import LANGUAGE_MODELS, LanguageModelCLI
from codeclab.experiments.train.non_finite import NonFiniteLossError


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab fit-lm`` beside the settings, which are flags as of ``codeclab fit``."""
    parser = argparse.ArgumentParser(
        prog="codeclab fit-lm",
        allow_abbrev=False,
        description="Train the small Transformer of EnCodec's section 3.3 on a codec's codes, for `codeclab encode "
        "--entropy lm`, and count how frequent each code is, for `--entropy static`. Codes are extracted once. The "
        "same command again continues the run.",
        epilog="Settings: --trainer.max_steps N, --data.batch_size N, --model.optimizer.lr X, --seed_everything N, … "
        "Example: codeclab fit-lm --codec runs/NAME --config laptop --data ~/audio",
    )
    parser.add_argument("--codec", required=True, metavar="CODEC", help="a run (runs/NAME), a codec's folder, or box")
    parser.add_argument(
        "--config",
        default="encodec",
        metavar="RECIPE",
        help=f"{' or '.join(names(LANGUAGE_MODELS))}, or a .yaml file (default: encodec, the paper's settings)",
    )
    parser.add_argument("--data", metavar="FOLDER", help="audio to learn from (default: what the run was trained on)")
    parser.add_argument(
        "--output", metavar="FOLDER", help="of this training (default: language_model in the codec's folder)"
    )
    parser.add_argument("--device", default="cpu", help="where codes are extracted: cpu or cuda (default: cpu)")
    parser.add_argument("--import", dest="imports", action="append", default=[], metavar="FILE.py", help="your parts")
    return parser


def trained_on(run: Path) -> str | None:
    """The audio that a run was trained on, as its config says.

    Raises:
        RecipeError: there is no such config.
    """
    if not (run / "config.yaml").is_file():
        raise RecipeError("which audio? Give --data FOLDER; only a run remembers what it was trained on")
    folder = (yaml.safe_load((run / "config.yaml").read_text())["data"] or {}).get("folder")
    return None if folder is None else str(folder)


def run(command: str, argv: list[str]) -> int:
    """``codeclab fit-lm``; returns the exit status."""
    options, words = make_parser().parse_known_args(argv)
    try:
        for file in options.imports:
            import_file(file)
        if options.data is None and not any(word.startswith("--data.folder") for word in words):
            options.data = trained_on(Path(options.codec)) or "synthetic"
        codec = Codec.from_pretrained(options.codec).to(options.device)
        folder = Path(options.output) if options.output else language_model_folder(options.codec)
        words += ["--data", options.data] if options.data else []
        cli = LanguageModelCLI(codec, folder, options.config, words)
        cli.execute()
    except (ValueError, OSError, MisconfigurationException) as error:
        print(f"codeclab fit-lm: {error}", file=sys.stderr)
        return 2
    except NonFiniteLossError as error:
        print(
            f"codeclab fit-lm: stopped: {error}; the same command continues from the last checkpoint", file=sys.stderr
        )
        return 1
    return 0
