"""One visit to a machine with a GPU: batches measured, CUDA graphs, the CUDA tests, a training, in a limited time.

    benchmarks/gpu_visit.sh

Each batch is measured in a process of its own. ``visit.md`` and ``visit.json`` are written anew after each part, so
that one which fails, or is stopped at its limit, leaves the results of the others.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from codeclab.benchmarks.evaluate.statistics import ALL
from codeclab.benchmarks.speed.budget import OutOfTimeError, Task, TaskOutcome, run_command, run_tasks
from codeclab.benchmarks.speed.machine import describe_machine
from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.precision import PRECISIONS
from codeclab.experiments.runs.speed.gpu_visit_page import page

PIECE = 15 * 2**20
"""Bytes of a file of the codec: what comes back from such a machine is limited to 16 MiB a file."""

SAVING = 20.0
"""Seconds in which a training that is requested to stop keeps its state and its codec."""


@dataclass(frozen=True)
class Work:
    """A training whose batches are measured: its title in the table, recipe, scale, and further flags."""

    title: str
    recipe: str
    scale: str
    flags: tuple[str, ...] = ()


WORKS = (
    Work("DAC ablation, paper size", "dac_44khz_ablation", "paper"),
    Work("EnCodec 24 kHz, paper size", "encodec_24khz", "paper"),
    Work("EnCodec 24 kHz, `lab`", "encodec_24khz", "lab"),
    Work("DAC ablation, `lab`", "dac_44khz_ablation", "lab"),
)


EVERY_BATCH = ("--model.discriminator_probability", "1")
ONE_KIND = (
    ("DAC ablation", "dac_44khz_ablation", ("--model.rate_sampling", "AllCodebooks", *EVERY_BATCH)),
    ("EnCodec 24 kHz", "encodec_24khz", ("--model.rate_sampling.bitrates", "[6.0]", *EVERY_BATCH)),
)
"""Trainings whose batches are all of one kind, so that a step is replayed from the fourth batch on."""

GRAPH_WORKS = tuple(
    Work(f"{title}, one kind of batch, {how}", recipe, "paper", (*flags, "--model.cuda_graphs", graphs))
    for title, recipe, flags in ONE_KIND
    for how, graphs in (("eager", "false"), ("CUDA graphs", "true"))
)
"""Eager steps and replayed ones, side by side."""

STARTS = ("quantizer_start", "quantizer_start_frames", "adversarial_start")
"""What a comparison of a few batches sets to 0, so that all parts take part."""


@dataclass(frozen=True)
class Sizes:
    """How much is done, beside what a work says.

    Attributes:
        seconds: time of the whole visit, s.
        works: the first of ``WORKS`` that are measured.
        precisions: precisions in which each is measured.
        graphs: whether CUDA graphs are measured and compared with the eager step, which needs a GPU.
        compared: batches whose losses are compared.
        batches: number of batches of each that are timed, in front of which others warm up.
        flags: flags of ``codeclab fit`` for every training.
        released: arguments of the released networks other than the defaults, by class.
        training: further flags of the training that is kept.
        evaluation: further options of ``codeclab evaluate``.
    """

    seconds: float = 500.0
    works: int = len(WORKS)
    precisions: tuple[str, ...] = PRECISIONS
    graphs: bool = True
    compared: int = 50
    batches: int = 8
    flags: tuple[str, ...] = ("--data.max_left_out", "0.9")
    released: dict[str, dict[str, Any]] = field(default_factory=dict)
    training: tuple[str, ...] = ("--scale", "lab", "--trainer.val_check_interval", "5000")
    evaluation: tuple[str, ...] = ("--data.max_left_out", "0.9", "--clips", "24", "--workers", "12")


TINY_DISCRIMINATOR = '[{"class_path": "MSSTFTDiscriminator", "init_args": {"n_filters": 2, "n_ffts": [256]}}]'
TINY = (
    *("--trainer.accelerator", "cpu", "--data.seconds", "0.2", "--data.batch_size", "2", "--data.workers", "0"),
    *("--model.encoder.n_filters", "2", "--model.decoder.n_filters", "16"),
    *("--model.discriminators", TINY_DISCRIMINATOR),
)
REHEARSAL = Sizes(
    seconds=170.0,
    works=2,
    precisions=PRECISIONS[:1],
    graphs=False,
    batches=1,
    flags=TINY,
    released={"DAC": {"encoder_dim": 2, "decoder_dim": 16}, "Discriminator": {"periods": [], "fft_sizes": [256]}},
    training=("--trainer.max_steps", "2", "--trainer.limit_val_batches", "0"),
    evaluation=("--clips", "3", "--seconds", "1", "--device", "cpu", "--metrics", "mel_distance", "si_snr"),
)
"""The whole way in less than three minutes on a CPU, to see that it is one."""


@dataclass
class Visit:
    """The measurements of a visit, and their results so far.

    Args:
        sizes: amount of work.
        audio: a folder of recorded audio, or ``synthetic``.
        peers: a folder with a checkout of descript-audio-codec and, in ``site``, the packages that it needs.
        to: folder of the results.
        scratch: folder of what stays behind.
    """

    sizes: Sizes
    audio: str
    peers: Path
    to: Path
    scratch: Path
    results: list[dict[str, Any]] = field(default_factory=list)
    tests: dict[str, int] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    compared: dict[str, Any] = field(default_factory=dict)
    outcomes: Sequence[TaskOutcome] = ()

    def __post_init__(self) -> None:
        self.machine = _machine()
        self.commit = _printed("git", "rev-parse", "--short", "HEAD") or "unknown commit"

    def parts(self) -> list[Task]:
        """All that is done, the most important first. What a part does not need, later parts may take."""
        total = self.sizes.seconds
        row = {"seconds": max(60.0, 0.12 * total), "reserve": 0.54 * total}
        rows = [self._part(work, one, row) for work in WORKS[: self.sizes.works] for one in self.sizes.precisions]
        graphs: list[Task] = []
        if self.sizes.graphs:
            three_trainings = row | {"seconds": 1.5 * row["seconds"]}
            graphs.append(Task("graphs equal eager", self.compare, **three_trainings))
            graphs += [self._part(work, one, row) for one in self.sizes.precisions for work in GRAPH_WORKS]
        return [
            rows[0],
            Task("beside the released DAC", self.released, **row),
            *graphs,
            *rows[1:],
            Task("CUDA tests", self.test, 0.28 * total, 0.26 * total),
            Task("training of EnCodec 24 kHz, `lab`", self.train, reserve=0.1 * total),
            Task("its codec, evaluated", self.evaluate),
        ]

    def _part(self, work: Work, precision: str, limits: dict[str, float]) -> Task:
        return Task(f"{work.title}, {precision}", partial(self.step, work.title, self.flags(work, precision)), **limits)

    def run(self) -> bool:
        """Do all of it; returns whether no part failed."""
        run_tasks(self.parts(), self.sizes.seconds, self.keep)
        return not any(outcome.failure for outcome in self.outcomes)

    def keep(self, outcomes: Sequence[TaskOutcome]) -> None:
        """Save the results so far."""
        self.outcomes = outcomes
        last = outcomes[-1]
        print(f"{last.name}: {last.failure or 'done'} ({last.seconds:.0f} s)", flush=True)
        write_atomically(self.to / "visit.json", json.dumps(self.as_json(), indent=2) + "\n")
        write_atomically(self.to / "visit.md", page(self.as_json()))

    def as_json(self) -> dict[str, Any]:
        """All figures; ``results`` is as the peers' harness prints it, with a title each."""
        return {
            "script": "gpu_visit.sh",
            "date": date.today().isoformat(),
            "commit": self.commit,
            "machine": self.machine,
            "results": self.results,
            "tests": self.tests,
            "training": self.training,
            "graphs_equal_eager": self.compared,
            "parts": [asdict(outcome) for outcome in self.outcomes],
        }

    def step(self, title: str, words: Sequence[str], seconds: float) -> None:
        """Add the results of ``profiled_step``; ours have the title, another implementation its own name."""
        file = self.scratch / "step.json"
        file.unlink(missing_ok=True)
        count = ["--batches", str(self.sizes.batches), "--warm-up", str(min(5, self.sizes.batches))]
        self.command("codeclab.experiments.runs.speed.profiled_step", ["--to", str(file), *count, *words], seconds)
        for entry in json.loads(file.read_text())["results"]:
            own_title = title if entry["impl"] == "codeclab" else f"`{entry['impl']}`, its own `train_loop`"
            self.results.append({"title": own_title, **entry})

    def flags(self, work: Work, precision: str) -> list[str]:
        """The words of a training."""
        named = ["--config", work.recipe, "--scale", work.scale, "--data", self.audio]
        return [*named, "--trainer.precision", precision, *self.sizes.flags, *work.flags]

    def released(self, seconds: float) -> None:
        """Both training loops of DAC, in turns."""
        checkout = self.peers / "descript-audio-codec"
        if not checkout.is_dir():
            raise FileNotFoundError(f"{checkout} was not carried along")
        words = ["--released", str(checkout), "--released-sizes", json.dumps(self.sizes.released)]
        title = "DAC ablation, paper size, one batch in memory"
        self.step(title, [*words, *self.flags(WORKS[0], PRECISIONS[0])], seconds)

    def compare(self, seconds: float) -> None:
        """The losses of batches with CUDA graphs beside those of the eager step."""
        file = self.scratch / "compared.json"
        words = ["--to", str(file), "--batches", str(self.sizes.compared)]
        joined = tuple(word for name in STARTS for word in (f"--model.{name}", "0"))
        flags = self.flags(Work("EnCodec 24 kHz, `lab`", "encodec_24khz", "lab", joined), PRECISIONS[0])
        self.command("codeclab.experiments.runs.speed.graphs_equal_eager", [*words, *flags], seconds)
        self.compared = json.loads(file.read_text())

    def test(self, seconds: float) -> None:
        """The tests that need CUDA, with those that ran before the limit counted."""
        files = [str(file) for file in sorted(Path("tests").rglob("test_*.py")) if "mark.gpu" in file.read_text()]
        log = self.to / "tests.txt"
        log.unlink(missing_ok=True)
        words = ["pytest", "-m", "gpu", "-v", "--color=no", "-p", "no:cacheprovider", *files]
        try:
            run_command([sys.executable, "-m", *words], seconds, log)
        finally:
            states = re.findall(r"^tests\S+ (PASSED|FAILED|SKIPPED|ERROR)\b", log.read_text(errors="replace"), re.M)
            self.tests = {state.lower(): states.count(state) for state in dict.fromkeys(states)}

    def train(self, seconds: float) -> None:
        """A training that is requested to stop when its time is up, and keeps its codec then."""
        words = ["fit", "--config", "encodec_24khz", "--data", self.audio, "--runs", str(self.scratch), "--name", "run"]
        with suppress(OutOfTimeError):
            self.command("codeclab.experiments", [*words, *self.sizes.flags, *self.sizes.training], seconds, SAVING)
        run = RunFolder(self.scratch / "run")
        self.training = {"batches": run.steps}
        if not run.codec.is_dir():
            raise RuntimeError("it was stopped before it had a codec")

    def evaluate(self, seconds: float) -> None:
        """Measure the codec that is brought home, which has its numbers in half the bytes."""
        run, codec, evaluation = self.scratch / "run", self.scratch / "codec", self.scratch / "evaluation"
        began = self.command("codeclab.experiments", ["export", str(run), str(codec), "--half"], seconds)
        self._pack(codec)
        data = ["--data", self.audio, "--split", "test", "--bitrates", "6", *self.sizes.evaluation]
        self.command("codeclab.experiments", ["evaluate", str(codec), *data, "-o", str(evaluation)], seconds - began)
        with (evaluation / "summary.csv").open(newline="") as file:
            self.training["evaluation"] = [row for row in csv.DictReader(file) if row["domain"] == ALL]
        self._pack(codec, evaluation)

    def command(self, module: str, words: Sequence[str], seconds: float, grace: float = 2.0) -> float:
        """Run a module; returns the seconds that it took."""
        began = time.monotonic()
        environment = {"WANDB_MODE": "disabled"}
        run_command([sys.executable, "-m", module, *words], seconds, self.to / "log.txt", environment, grace)
        return time.monotonic() - began

    def _pack(self, *folders: Path) -> None:
        """Write folders as one archive, in pieces."""
        archive = self.scratch / "codec.tar"
        with tarfile.open(archive, "w") as tar:
            for folder in folders:
                tar.add(folder, folder.name)
        with archive.open("rb") as file:
            for number, piece in enumerate(iter(lambda: file.read(PIECE), b"")):
                (self.to / f"codec.tar.{number}").write_bytes(piece)


def _printed(*words: str) -> str:
    """What a program prints; nothing where it is not there or fails."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _machine() -> str:
    gpu = _printed("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return f"{gpu} (driver), {describe_machine()}" if gpu else describe_machine()


def main(argv: list[str] | None = None) -> None:
    """Make the visit; the exit status is 1 where a part failed."""
    parser = argparse.ArgumentParser(prog="benchmarks/gpu_visit.sh", description=__doc__, allow_abbrev=False)
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the results are written")
    parser.add_argument("--audio", help="recorded audio (default: .gpu/audio, or made-up audio without it)")
    parser.add_argument("--peers", type=Path, default=Path(".gpu/peers"), help="checkouts (default: .gpu/peers)")
    parser.add_argument("--seconds", type=float, metavar="S", help="for all (default: 500; rehearsal: 170)")
    parser.add_argument("--cpu-rehearsal", action="store_true", help="the whole way on a CPU, at the smallest sizes")
    options = parser.parse_args(argv)
    sizes = REHEARSAL if options.cpu_rehearsal else Sizes()
    if not sizes.graphs:
        print("graphs equal eager: left out, CUDA graphs need a GPU", flush=True)
    if options.seconds:
        sizes = replace(sizes, seconds=options.seconds)
    packed = not options.cpu_rehearsal and Path(".gpu/audio").is_dir()
    audio = options.audio or (".gpu/audio" if packed else "synthetic")
    options.to.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        complete = Visit(sizes, audio, options.peers, options.to, Path(scratch)).run()
    print((options.to / "visit.md").read_text(), end="")
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
