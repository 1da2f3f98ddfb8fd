"""The help of ``codeclab fit``, ``validate`` and ``test``. LightningCLI reads their flags."""

from codeclab.experiments.config.files import SCALES, names
from codeclab.experiments.config.part_names import part_names

HELP = """usage: codeclab {command} --config RECIPE [options]

{summary}

  --config NAME          a recipe (`codeclab recipes` lists them), a .yaml file, or a run's folder
  --scale NAME           sizes of parts, batch and steps: {scales} (default: the recipe's, which is the paper's)
  --init PATH_OR_ID      start from the weights of a run (its discriminators too), a codec's folder or file, or a hub id
  --data FOLDER          a tree of audio files, a manifest CSV, `recordings` (7 minutes of read speech that ship with
                         codeclab) or `synthetic` (default: synthetic, sounds made in memory)
  --name NAME            the run's name (default: derived from the settings)
  --runs FOLDER          where runs are kept (default: runs)
  --import FILE.py       a Python file with your own parts; may be repeated. The run keeps a copy for later commands
  --run-code             (any command) execute the Python files of a run from elsewhere; look at its imports/ first
  --print_config         print the resolved settings as a YAML that --config reads, and stop
  --dry-run              print parts, sizes, bitrates, steps and estimates of memory and time, and stop
  --compile              compile the networks with torch.compile

A part is swapped by giving its class name. Each of its arguments is a flag:
  --model.quantizer FactorizedVQ --model.quantizer.codebook_dim 8
  --model.encoder.activation relu --model.decoder.activation relu
  --model.discriminators+=MSSTFTDiscriminator            (+= appends to a list)

{parts}

Training:
  --trainer.logger TensorBoardLogger --trainer.logger.save_dir FOLDER, --trainer.callbacks NAME: added to the run's
  --trainer.max_steps N  batches to train                --data.batch_size N     items per batch, over all devices
  --trainer.devices N    devices                         --seed_everything N     seed of every draw (default 0)
  --trainer.precision P  32-true or bf16-mixed           --data.workers N        loader processes

The same command continues the run where it stopped. Ctrl-C finishes the batch and saves it. last.ckpt is written before
and after each validation, and every 15 minutes (--checkpoint_minutes M). --losses all shows every loss.
`codeclab {command} --model.quantizer.help NAME` explains a part's arguments; `--help-all` lists every flag.
"""


SUMMARIES = {
    "fit": "Train a codec from a recipe. The same command continues the run.",
    "validate": "Measure a run's best checkpoint on the validation clips: codeclab validate --config runs/NAME",
    "test": "Measure a run's best checkpoint on the test clips: codeclab test --config runs/NAME",
}


def help_text(command: str) -> str:
    """What ``codeclab fit --help`` prints."""
    lines = [f"  --{slot:<24} {', '.join(parts)}" for slot, parts in part_names().items()]
    return HELP.format(
        command=command, summary=SUMMARIES[command], scales=", ".join(names(SCALES)), parts="\n".join(lines)
    )
