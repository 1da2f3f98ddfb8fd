"""One list of the files that define parts, and one look-up of parts by name."""

import subprocess
import sys
from importlib import import_module
from inspect import isabstract
from pathlib import Path

import pytest

import codeclab
from codeclab.codecs.io import part_files
from codeclab.codecs.io.defined_classes import defined_classes, with_derived
from codeclab.codecs.io.parts import UnknownPartError, find_part, part_named
from codeclab.experiments.config.parts import all_slots, subclasses
from codeclab.experiments.config.parts import find_part as find_part_of_slot
from codeclab.quantizers.fsq import FSQ

PATTERNS = (*part_files.CODEC_PARTS, *part_files.TRAINING_PARTS, *part_files.DATA_PARTS, *part_files.BASELINES)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_is_of_modules_that_can_be_imported(pattern: str) -> None:
    modules = list(part_files.modules_of([pattern]))
    assert modules
    for module in modules:
        assert import_module(module).__name__ == module


@pytest.mark.parametrize(
    "file",
    [
        *("codecs/mine.py", "quantizers/mine.py", "discriminators/mine.py", "experiments/train/losses/mine.py"),
        *("experiments/train/my_balancer.py", "experiments/train/my_rate_sampling.py", "experiments/data/mine.py"),
        "benchmarks/baselines/mine.py",
    ],
)
def test_a_new_part_is_found_by_its_file_alone(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    monkeypatch.setattr(part_files, "ROOT", tmp_path)
    assert list(part_files.modules_of(PATTERNS)) == [f"codeclab.{file[:-3].replace('/', '.')}"]


def test_the_list_is_read_without_torch() -> None:
    program = "import sys, codeclab.codecs.io.part_files; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


def test_no_part_is_defined_elsewhere() -> None:
    bases = {base.__name__ for base in all_slots().values()} | {"Baseline"}
    everywhere = defined_classes(f"{top}/**/*.py" for top in ("codecs", "quantizers", "discriminators", "experiments"))
    everywhere |= defined_classes(["benchmarks/**/*.py"])
    listed = defined_classes(PATTERNS)
    parts = {name for name in with_derived(bases, everywhere) & everywhere.keys() if not name.startswith("_")}
    assert parts <= listed.keys()


def test_both_look_ups_find_the_same_parts() -> None:
    base = all_slots()["model.quantizer"]
    for name, part in subclasses(base).items():
        if part.__module__.startswith("codeclab.") and not isabstract(part):
            assert find_part("quantizer", name) is find_part_of_slot("model.quantizer", base, name) is part
            assert getattr(codeclab, name) is part


def test_a_part_is_looked_up_by_its_short_or_full_name() -> None:
    assert part_named("FSQ", {"FSQ": FSQ}, "no part", "") is FSQ
    assert part_named("codeclab.quantizers.fsq.FSQ", {"FSQ": FSQ}, "no part", "") is FSQ
    with pytest.raises(UnknownPartError, match=r"^no part 'FSK' \(did you mean FSQ\?\); there are: FSQ. Import it.$"):
        part_named("FSK", {"FSQ": FSQ}, "no part 'FSK'", ". Import it.")
