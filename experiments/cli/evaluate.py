"""``codeclab evaluate``: a trained codec or a baseline measured at every bitrate, by file and by domain."""

from pathlib import Path

from codeclab.benchmarks.baselines.columns import token_columns
from codeclab.benchmarks.baselines.registry import named_codec
from codeclab.benchmarks.baselines.tokens import TokenCodec
from codeclab.benchmarks.evaluate.entropy import entropy_text
from codeclab.benchmarks.metrics.registry import DEFAULT_METRICS
from codeclab.benchmarks.tables.render import evaluation_text
from codeclab.codecs.codec import Codec
from codeclab.codecs.wording import counted
from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.evaluate import make_parser
from codeclab.experiments.cli.options.shared import measuring_settings
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.own_code import import_files
from codeclab.experiments.data.left_out import LeftOut
from codeclab.experiments.runs.left_out import noted, say_left_out
from codeclab.experiments.runs.measure.clip_sets import ClipSet
from codeclab.experiments.runs.measure.evaluate import read_baseline
from codeclab.experiments.runs.measure.keep_evaluation import keep
from codeclab.experiments.runs.measure.measure import measure, measure_entropy
from codeclab.experiments.runs.measure.settings import MeasuringSettings
from codeclab.experiments.runs.measure.subjects import Subject, evaluation_folder, read_subject


def print_entropy(subject: Subject, settings: MeasuringSettings, output: Path, model: str | None) -> LeftOut:
    """Measure the codec's entropy coders and print their kbps; returns the files left out."""
    measured = measure_entropy(subject, settings, output, None if model is None else Path(model))
    print(entropy_text(measured.rates))
    if measured.remark:
        print(f"{output / 'entropy.csv'}: {measured.remark}")
    return measured.left_out


def _size_and_speed(codec: TokenCodec, bitrate: float) -> str:
    weights, speed = codec.parameters(), token_columns(codec, bitrate)
    size = "weights not counted" if weights is None else counted(weights, "weight")
    factors = f"{speed['rtf_encoder']:.1f} encoding, {speed['rtf_decoder']:.1f} decoding"
    return f"{size}; {factors} times faster than real time on one thread of this CPU, at {bitrate:.4g} kbps"


def run(command: str, argv: list[str]) -> int:
    """``codeclab evaluate``; returns the exit status."""
    options = make_parser().parse_args(argv)
    of_this_package = options.run is not None and named_codec(options.run) is None
    try:
        if (options.run is None) == (options.baseline is None):
            raise RecipeError("name one thing to measure: a run, or a --baseline")
        import_files(options.imports)
        entropy_alone = options.entropy and options.metrics is None
        settings = measuring_settings(options, options.metrics or DEFAULT_METRICS)
        if options.entropy and not of_this_package:
            raise RecipeError("--entropy is for a codec of this package, whose coders it measures; name a run")
        if options.baseline:
            subject = Subject(options.baseline[0], read_baseline(options.baseline))
        else:
            subject = read_subject(options.run, options.device)
        output = Path(options.output or evaluation_folder(subject))
        if entropy_alone and isinstance(subject.coder, Codec):
            say_left_out(f"codeclab {command}", print_entropy(subject, settings, output, options.language_model))
            return 0
        evaluation = measure(subject, settings)
    except ValueError as error:
        return failed("evaluate", error)
    except RuntimeError as error:
        if of_this_package:
            raise
        return failed("evaluate", error, 1)
    whole, remark = keep(evaluation, output)
    print(evaluation_text(whole))
    if not options.baseline and isinstance(subject.coder, TokenCodec):
        print(_size_and_speed(subject.coder, max(evaluation.info["bitrates_kbps"])))
    if options.entropy and isinstance(subject.coder, Codec):
        print_entropy(subject, settings, output, options.language_model)
    print(f"measured on {ClipSet.of_evaluation(whole).title}")
    print(f"written to {output}" + (f" ({remark})" if remark else ""))
    say_left_out(f"codeclab {command}", noted(evaluation.info))
    return 0
