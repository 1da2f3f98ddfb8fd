"""``codeclab evaluate``: a trained codec or a baseline measured at every bitrate, by file and by domain."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from codeclab.benchmarks.baselines import Baseline, make_baseline
from codeclab.benchmarks.baselines.columns import token_columns
from codeclab.benchmarks.baselines.registry import named_codec
from codeclab.benchmarks.baselines.tokens import TokenCodec
from codeclab.benchmarks.evaluate.adding import BASIS
from codeclab.benchmarks.evaluate.entropy import entropy_rates, entropy_text
from codeclab.benchmarks.evaluate.evaluation import Evaluation
from codeclab.benchmarks.metrics.registry import refuse_unknown
from codeclab.benchmarks.metrics.synonyms import named_as
from codeclab.benchmarks.tables.render import evaluation_text
from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import Coders, fitted_identity, language_model_folder
from codeclab.codecs.io.folder import identity
from codeclab.codecs.wording import counted
from codeclab.experiments.cli.options.evaluate import DEFAULT_METRICS, make_parser
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.import_file import import_file
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.runs.evaluate import data_of, evaluate_on, limit, pick_bitrates, read_baseline, usual_split
from codeclab.experiments.runs.keep_entropy import keep_entropy
from codeclab.experiments.runs.keep_evaluation import basis, keep, said_of_same
from codeclab.experiments.runs.left_out import noted, say_left_out
from codeclab.experiments.runs.training_data import label_of, run_of


def read_subject(options: argparse.Namespace) -> tuple[Codec | Baseline, str, Path]:
    """What is measured, the name of its row, and the folder to which its figures are written."""
    if options.baseline:
        subject, name = read_baseline(options.baseline), options.baseline[0]
    elif other := named_codec(options.run):
        placed = {"device": options.device} if options.device and "model" in other else {}
        subject = make_baseline(other | placed)
        name = subject.name
    else:
        path, run = Path(options.run), run_of(Path(options.run))
        folder = path if run is None else run.path
        usual = folder / "evaluation" if folder.is_dir() else Path("evaluations") / folder.stem
        return Codec.from_pretrained(options.run), label_of(path), Path(options.output or usual)
    return subject, name, Path(options.output or Path("evaluations") / name)


def data_for(subject: Codec | Baseline, options: argparse.Namespace) -> tuple[AudioData, str]:
    """The audio to measure on, and its split."""
    run = Path(options.run) if isinstance(subject, Codec) else None
    data = data_of(run, options.data, subject, options.sample_rate)
    limit(data, options.clips, options.seconds, options.max_left_out)
    # Nothing was trained on what a baseline is measured on.
    return data, options.split or ("all" if run is None else usual_split([run], data.folder))


def measure(subject: Codec | Baseline, name: str, options: argparse.Namespace) -> Evaluation:
    """Measure a codec or a baseline by the options of ``codeclab evaluate``; ``name`` is the name of its row."""
    data, split = data_for(subject, options)
    rates = options.bitrates
    if isinstance(subject, Codec):
        rates = pick_bitrates(subject.bitrates, rates)
        if not rates:
            offered = ", ".join(f"{rate:.4g}" for rate in subject.bitrates)
            raise RecipeError(f"the codec offers none of these bitrates; it offers {offered} kbps")
    evaluation = evaluate_on(data, subject, rates, options.metrics, split, options.workers, options.device)
    of = evaluation.info["codec"] or evaluation.info["baseline"]
    evaluation.info |= {"name": name, BASIS: basis(of, data, split)}
    return evaluation


def measure_entropy(codec: Codec, options: argparse.Namespace, output: Path) -> LeftOut:
    """Print the kbps of the codec's entropy coders and store them in ``entropy.csv``; returns the files left out."""
    fitted = None if options.language_model is None else Path(options.language_model)
    coders = Coders.beside(codec, options.run, fitted)
    if coders.names == ["none"]:
        raise RecipeError(f"no entropy coder was fitted to this codec: codeclab fit-lm --codec {options.run} fits two")
    data, split = data_for(codec, options)
    named = {name: coders.named(name) for name in coders.names}
    rates = pick_bitrates(codec.bitrates, options.bitrates)
    data.check((split,))
    clips = data.clips(split)
    coded = entropy_rates(codec, named, clips, rates, options.device, progress=True)
    model = fitted_identity(fitted or language_model_folder(options.run))
    whole, remark = keep_entropy(coded, basis(identity(codec), data, split) | {"language_model": model}, output)
    print(entropy_text(whole))
    if remark:
        print(f"{output / 'entropy.csv'}: {remark}")
    return LeftOut.of(data.corpus, clips.left_out, clips.shorter)


def _size_and_speed(codec: TokenCodec, bitrate: float) -> str:
    weights, speed = codec.parameters(), token_columns(codec, bitrate)
    size = "weights not counted" if weights is None else f"{counted(weights, 'weight')}"
    factors = f"{speed['rtf_encoder']:.1f} encoding, {speed['rtf_decoder']:.1f} decoding"
    return f"{size}; {factors} times faster than real time on one thread of this CPU, at {bitrate:.4g} kbps"


def check_metrics(names: Sequence[str]) -> list[str]:
    """The metrics to measure, each once; of two that are the same by definition, only the first.

    Raises:
        ValueError: a name is unknown; the message lists the known ones.
    """
    refuse_unknown(names)
    chosen: list[str] = []
    for name in dict.fromkeys(names):
        if (same := named_as(name, chosen)) in chosen:
            print(f"note: {said_of_same(name, same)}", file=sys.stderr)
        else:
            chosen.append(name)
    return chosen


def run(command: str, argv: list[str]) -> int:
    """``codeclab evaluate``; returns the exit status."""
    options = make_parser().parse_args(argv)
    of_this_package = options.run is not None and named_codec(options.run) is None
    try:
        if (options.run is None) == (options.baseline is None):
            raise RecipeError("name one thing to measure: a run, or a --baseline")
        entropy_alone = options.entropy and options.metrics is None
        options.metrics = check_metrics(options.metrics or DEFAULT_METRICS)
        if options.entropy and not of_this_package:
            raise RecipeError("--entropy is for a codec of this package, whose coders it measures; name a run")
        for file in options.imports:
            import_file(file)
        subject, name, output = read_subject(options)
        if entropy_alone and isinstance(subject, Codec):
            say_left_out(f"codeclab {command}", measure_entropy(subject, options, output))
            return 0
        evaluation = measure(subject, name, options)
    except ValueError as error:
        print(f"codeclab evaluate: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if of_this_package:
            raise
        print(f"codeclab evaluate: {error}", file=sys.stderr)
        return 1
    whole, remark = keep(evaluation, output)
    print(evaluation_text(whole))
    if not options.baseline and isinstance(subject, TokenCodec):
        print(_size_and_speed(subject, max(evaluation.info["bitrates_kbps"])))
    if options.entropy and isinstance(subject, Codec):
        measure_entropy(subject, options, output)
    print(f"written to {output}" + (f" ({remark})" if remark else ""))
    say_left_out(f"codeclab {command}", noted(evaluation.info))
    return 0
