"""``codeclab evaluate``: a trained codec's figures at every bitrate, per file and per domain."""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

from codeclab.benchmarks.evaluate import evaluate
from codeclab.benchmarks.evaluation import Evaluation
from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.codec import Codec
from codeclab.codecs.storage import identity
from codeclab.experiments.assemble import RecipeError, import_file
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.tables import pick_bitrates

DEFAULT_METRICS = [
    "visqol_audio",
    "mel_distance",
    "stft_distance",
    "si_snr",
    "si_sdr",
    "bitrate_efficiency",
    "codebook_usage",
]


def make_parser() -> argparse.ArgumentParser:
    """The options of ``codeclab evaluate``."""
    parser = argparse.ArgumentParser(
        prog="codeclab evaluate",
        description="Measure a trained codec at every bitrate it offers, per file, per domain and overall, "
        "with 95 % intervals. Writes per_file.csv, codebooks.csv, summary.csv and evaluation.json.",
        epilog="metrics: " + ", ".join(METRICS),
    )
    parser.add_argument("run", help="a run's folder (runs/NAME), or what Codec.from_pretrained reads")
    parser.add_argument("--data", metavar="FOLDER", help="audio to measure on (default: what the run was trained on)")
    parser.add_argument(
        "--split",
        default="test",
        choices=("train", "valid", "test", "all"),
        help="which part (default: test; a folder without split folders is split by a seeded hash)",
    )
    parser.add_argument("--bitrates", metavar="KBPS", type=float, nargs="+", help="kbps (default: all offered)")
    parser.add_argument("--metrics", nargs="+", metavar="NAME", default=DEFAULT_METRICS, help="what to measure")
    parser.add_argument("--clips", type=int, metavar="N", help="at most N clips, balanced over the domains")
    parser.add_argument("--seconds", type=float, metavar="S", help="length a clip is cut to (default: the run's)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes for ViSQOL (default: 2)")
    parser.add_argument("--device", default=None, help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--import", dest="imports", action="append", default=[], metavar="FILE.py", help="your parts")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        help="where to write (default: RUN/evaluation, or evaluations/NAME of a file or hub id)",
    )
    return parser


def data_of(run: Path, folder: str | None, codec: Codec, sample_rate: int | None = None) -> AudioData:
    """The data to measure on: the run's own settings, on ``folder`` where one is given.

    Args:
        run: the run's folder, or a codec's.
        folder: audio to measure on in place of the run's.
        codec: the codec to be measured.
        sample_rate: Hz of the originals it is measured against; None takes the codec's.
    """
    settings: dict[str, Any] = {}
    if (run / "config.yaml").is_file():
        stored = yaml.safe_load((run / "config.yaml").read_text())["data"]
        settings = {
            key: stored[key] for key in ("folder", "valid_clips", "max_test_clips", "clip_seconds") if key in stored
        }
    if folder is not None:
        settings["folder"] = folder
    rate = sample_rate or codec.sample_rate
    return AudioData(sample_rate=rate, channels=codec.channels, batch_size=1, workers=0, **settings)


def evaluate_codec(
    codec: Codec,
    data: AudioData,
    bitrates: list[float],
    metrics: list[str],
    split: str = "test",
    workers: int = 2,
    device: str | None = None,
) -> Evaluation:
    """Measure ``codec`` on a split's clips at ``bitrates`` (kbps)."""
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    found = evaluate(codec, data.clips(split), bitrates, metrics, workers=workers, device=place, progress=True)
    found.info["codec"] = identity(codec)
    return found


def run(command: str, argv: list[str]) -> int:
    """``codeclab evaluate``; returns the exit status."""
    options = make_parser().parse_args(argv)
    try:
        unknown = [name for name in options.metrics if name not in METRICS]
        if unknown:
            raise RecipeError(f"no metric {', '.join(unknown)}; there are: {', '.join(METRICS)}")
        for file in options.imports:
            import_file(file)
        folder = Path(options.run)
        codec = Codec.from_pretrained(options.run)
        data = data_of(folder, options.data, codec)
        if options.clips is not None:
            data.max_test_clips = data.valid_clips = options.clips
        if options.seconds is not None:
            data.clip_seconds = options.seconds
        rates = pick_bitrates(codec.bitrates, options.bitrates)
        if not rates:
            offered = ", ".join(f"{rate:.4g}" for rate in codec.bitrates)
            raise RecipeError(f"the codec offers none of these bitrates; it offers {offered} kbps")
        found = evaluate_codec(codec, data, rates, options.metrics, options.split, options.workers, options.device)
    except (RecipeError, ValueError) as error:
        print(f"codeclab evaluate: {error}", file=sys.stderr)
        return 2
    beside = folder / "evaluation" if folder.is_dir() else Path("evaluations") / folder.stem
    output = Path(options.output) if options.output else beside
    found.save(output)
    print(found.text())
    print(f"written to {output}")
    return 0
