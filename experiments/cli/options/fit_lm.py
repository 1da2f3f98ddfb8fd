"""The options of ``codeclab fit-lm``."""

from codeclab.experiments.cli.options.shared import add_imports, output_folder, run_name
from codeclab.experiments.config.files import LANGUAGE_MODELS, names
from codeclab.experiments.config.words import Setting, SettingsParser


def make_parser() -> SettingsParser:
    """The options of ``codeclab fit-lm``. Settings are further flags, as those of ``codeclab fit``."""
    parser = SettingsParser(
        "codeclab fit-lm",
        description="Train the small Transformer of EnCodec's section 3.3 on a codec's codes, for `codeclab encode "
        "--entropy lm`, and count how frequent each code is, for `--entropy static`. Codes are extracted once. The "
        "same command continues the run.",
        epilog="Settings: --trainer.max_steps N, --data.batch_size N, --model.optimizer.lr X, --seed_everything N, … "
        "Example: codeclab fit-lm --codec runs/NAME --config laptop --data ~/audio",
    )
    parser.add_argument(
        "--codec", required=True, type=run_name, metavar="CODEC", help="a run (runs/NAME), a codec's folder, or box"
    )
    parser.add_argument(
        "--config",
        default="encodec",
        metavar="RECIPE",
        help=f"{' or '.join(names(LANGUAGE_MODELS))}, or a .yaml file (default: encodec, the paper's settings)",
    )
    parser.add_argument(
        "--data",
        dest="data.folder",
        action=Setting,
        metavar="FOLDER",
        help="audio to learn from (default: the run's data)",
    )
    parser.add_argument(
        "--output",
        type=output_folder,
        metavar="FOLDER",
        help="where to write (default: language_model in the codec's folder)",
    )
    parser.add_argument("--device", default="cpu", help="device that extracts the codes: cpu or cuda (default: cpu)")
    add_imports(parser)
    return parser
