"""The help of ``codeclab fit``, ``validate`` and ``test``."""

from codeclab.experiments.cli.options.shared import add_run_code
from codeclab.experiments.config.part_names import part_names
from codeclab.experiments.config.words import make_parser

SETTINGS = """A part is swapped by giving its class name. Each of its arguments is a flag:
  --model.quantizer FactorizedVQ --model.quantizer.codebook_dim 8
  --model.encoder.activation relu --model.decoder.activation relu
  --model.discriminators+=MSSTFTDiscriminator            (+= appends to a list)

{parts}

Training:
  --trainer.max_steps N  batches to train                --data.batch_size N     items per batch, over all devices
  --trainer.devices N    devices                         --seed_everything N     seed of every draw (default 0)
  --trainer.precision P  32-true or bf16-mixed           --data.workers N        loader processes
  --trainer.logger TensorBoardLogger --trainer.logger.save_dir FOLDER, --trainer.callbacks NAME
                         adds a logger or callback to the run's own

The same command continues the run where it stopped. Ctrl-C finishes the batch and saves it. last.ckpt is written before
and after each validation, and every 15 minutes (--checkpoint_minutes M). --losses all shows every loss.
`codeclab {command} --model.quantizer.help NAME` explains a part's arguments.
"""

SUMMARIES = {
    "fit": "Train a codec from a recipe. The same command continues the run.",
    "validate": "Measure a run's best checkpoint on the validation clips: codeclab validate --config runs/NAME",
    "test": "Measure a run's best checkpoint on the test clips: codeclab test --config runs/NAME",
}


def help_text(command: str) -> str:
    """What ``codeclab fit --help`` prints."""
    lines = [f"  --{slot:<24} {', '.join(parts)}" for slot, parts in part_names().items()]
    parser = make_parser(command)
    add_run_code(parser)
    parser.description = SUMMARIES[command]
    parser.epilog = SETTINGS.format(command=command, parts="\n".join(lines))
    return parser.format_help()
