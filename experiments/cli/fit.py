"""``codeclab fit``, ``validate`` and ``test``: train a codec from a recipe, or measure a run's checkpoint."""

import re
import sys

import yaml
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from codeclab.experiments.config.parts import all_slots, subclasses
from codeclab.experiments.config.recipes import (
    SCALES,
    RecipeError,
    import_parts,
    names,
)
from codeclab.experiments.runs.bare_parser import make_parser
from codeclab.experiments.runs.build import build
from codeclab.experiments.runs.folder import RunFolderError
from codeclab.experiments.runs.non_finite import report_non_finite
from codeclab.experiments.train.non_finite import NonFiniteLossError

HELP = """usage: codeclab {command} --config RECIPE [options]

{summary}

  --config NAME          a recipe (`codeclab recipes` lists them), a .yaml file, or a run's folder
  --scale NAME           sizes of parts, batch and steps: {scales}; left out: the recipe's own (the paper's)
  --init PATH_OR_ID      start from the weights of a run (its discriminators too), a codec's folder or file, or a hub id
  --data FOLDER          a tree of audio files, a manifest CSV, or `recordings`: 7 minutes of read speech that ship with
                         codeclab; left out (or `synthetic`): the built-in synthetic corpus
  --name NAME            the run's name; left out: derived from the settings
  --runs FOLDER          where runs are kept (default: runs)
  --import FILE.py       a Python file with your own parts; may be repeated. The run keeps it for later commands
  --run-code             (any command) run the Python files that a run from elsewhere brings: look at its imports/ first
  --print_config         print the resolved settings as a YAML that --config reads, and stop
  --dry-run              print parts, sizes, bitrates, steps and estimates of memory and time, and stop
  --compile              compile the networks with torch.compile

Any part is swapped by its class name, and any of its arguments is a flag:
  --model.quantizer FactorizedVQ --model.quantizer.codebook_dim 8
  --model.encoder.activation relu --model.decoder.activation relu
  --model.discriminators+=MSSTFTDiscriminator            (+= appends to a list)

{parts}

Training:
  --trainer.logger TensorBoardLogger --trainer.logger.save_dir FOLDER, --trainer.callbacks NAME: beside the run's own
  --trainer.max_steps N  batches to train                --data.batch_size N     items a batch, over all devices
  --trainer.devices N    devices                         --seed_everything N     seed of every draw (default 0)
  --trainer.precision P  32-true or bf16-mixed           --data.workers N        loader processes

The same command again continues the run where it stopped; Ctrl-C ends the batch and keeps it. last.ckpt is written
before and after each validation, and every 15 minutes (--checkpoint_minutes M); --losses all shows every loss.
`codeclab {command} --model.quantizer.help NAME` explains a part's arguments, `--help-all` every flag.
"""

PRINT_CONFIG = "--print_config"

SUMMARIES = {
    "fit": "Train a codec from a recipe; the same command again continues it.",
    "validate": "Measure a run's best checkpoint on the validation clips: codeclab validate --config runs/NAME",
    "test": "Measure a run's best checkpoint on the test clips: codeclab test --config runs/NAME",
}


def help_text(command: str) -> str:
    """What ``codeclab fit --help`` prints."""
    import_parts()
    lines = [f"  --{slot:<24} {', '.join(subclasses(base))}" for slot, base in all_slots().items()]
    return HELP.format(
        command=command, summary=SUMMARIES[command], scales=", ".join(names(SCALES)), parts="\n".join(lines)
    )


def run(command: str, argv: list[str]) -> int:
    """``codeclab fit|validate|test``; returns the exit status."""
    if not argv or {"-h", "--help"} & set(argv):
        print(help_text(command), end="")
        return 0 if argv else 2
    if "--help-all" in argv or any(word.partition("=")[0].endswith(".help") for word in argv):
        import_parts()
        make_parser(command).parse_args(["--help" if word == "--help-all" else word for word in argv])
    try:
        if PRINT_CONFIG in argv:
            cli = build(command, [word for word in argv if word != PRINT_CONFIG] + ["--dry-run"])
            print(yaml.safe_dump(cli.requested, sort_keys=False), end="")
            return 0
        cli = build(command, argv)
        if cli.request.dry_run:
            from codeclab.experiments.runs.dry_run import describe

            print(describe(cli.model, cli.datamodule, cli.config.trainer.max_steps))
            if cli.origin:
                print(cli.origin.replace("init:", "init          ", 1))
        else:
            cli.execute()
    except (RecipeError, RunFolderError, ValueError, MisconfigurationException) as error:
        print(f"codeclab {command}: {error}", file=sys.stderr)
        return 2
    except NonFiniteLossError as error:
        print(report_non_finite(error, cli.folder), file=sys.stderr)
        return 1
    except (OSError, RuntimeError) as error:
        reason = loader_died(error) or (str(error) if isinstance(error, OSError) else "")
        if not reason:
            raise
        print(f"codeclab {command}: {reason}", file=sys.stderr)
        return 1
    return 0


def loader_died(error: BaseException) -> str:
    """What became of a process that reads audio, where that is the error; empty where it is another."""
    found = re.search(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (.+)", str(error))
    if found is None:
        return ""
    return (
        f"a process that reads audio ({found[1]}) {found[2].rstrip('.')}: often the memory is full, then "
        "--data.workers with a smaller number helps; the same command continues the run"
    )
