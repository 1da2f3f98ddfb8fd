"""Imports go one way: a folder imports itself and those before it, inside functions too."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
ORDER = (
    "quantizers",
    "codecs.layers",
    "codecs",
    "codecs.io",
    "codecs.engines",
    "codecs.entropy",
    "discriminators",
    "benchmarks.metrics",
    "benchmarks.evaluate",
    "benchmarks.speed",
    "benchmarks.baselines",
    "benchmarks.tables",
    "benchmarks.report",
    "benchmarks.listening",
    "benchmarks",
    "experiments.data",
    "experiments.train",
    "experiments.config",
    "experiments.contracts",
    "experiments.tracking",
    "experiments.runs",
    "experiments.runs.measure",
    "experiments.runs.speed",
    "experiments.language_model",
    "experiments.listen",
    "experiments.runner",
    "experiments.cli.options",
    "experiments.cli",
    "experiments",
)
"""The folders from the bottom up."""

STRANGERS = (("benchmarks", "discriminators"),)
"""Folders that know nothing of each other although one comes before the other."""

LISTENING = ("benchmarks.listening", "experiments.listen")
"""The folders of the listening test, one room: ``experiments.listen`` is its only door."""

DOORS = {
    ("codecs/codec.py", "codeclab.codecs.engines"),
    ("codecs/codec.py", "codeclab.codecs.io.folder"),
    ("codecs/codec.py", "codeclab.codecs.io.parts"),
    ("codecs/codec.py", "codeclab.experiments.config.recipes"),
    ("codecs/codec.py", "codeclab.experiments.config.own_code"),
}
"""The only imports upwards: what users find on the class ``Codec``, as ``save``, ``from_recipe`` and ``to_engine``."""


def imported(file: Path) -> set[str]:
    """Modules a file names in an import, wherever it stands, and in ``import_module("…")``."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            modules |= {word.value for word in node.args if isinstance(word, ast.Constant)}
    return modules


def folder_of(module: str) -> str | None:
    """The folder, of those ordered, that a module lies in; None for the package's face and for other packages."""
    name = module.removeprefix("codeclab.")
    return max((folder for folder in ORDER if f"{name}.".startswith(f"{folder}.")), key=len, default=None)


def files_of(folder: str) -> list[Path]:
    """Python files of a folder, without those of the folders that are ordered by themselves."""
    files = (ROOT / folder.replace(".", "/")).rglob("*.py")
    return [file for file in files if folder_of(".".join(file.relative_to(ROOT).with_suffix("").parts)) == folder]


def is_door(file: str, module: str) -> bool:
    """Whether a file may import a module, or a name out of it, although it lies above."""
    return any(file == allowed and f"{module}.".startswith(f"{above}.") for allowed, above in DOORS)


@pytest.mark.parametrize("folder", ORDER)
def test_each_folder_imports_only_those_before_it(folder: str) -> None:
    after = ORDER[ORDER.index(folder) + 1 :]
    wrong = [
        f"{name} imports {module}"
        for file in files_of(folder)
        for name in [file.relative_to(ROOT).as_posix()]
        for module in imported(file)
        if module.startswith("codeclab.") and folder_of(module) in after and not is_door(name, module)
    ]
    assert wrong == []


def test_the_listening_test_is_entered_by_its_door_alone() -> None:
    door = importlib.import_module("codeclab.experiments.listen")
    allowed = {door.__name__, *(f"{door.__name__}.{name}" for name in door.__all__)}
    outside = [file for folder in ORDER if folder not in LISTENING for file in files_of(folder)]
    outside += [ROOT / "src" / "codeclab" / "__init__.py", *(ROOT / "examples").rglob("*.py")]
    used = {(file, module) for file in outside for module in imported(file) if folder_of(module) in LISTENING}
    assert sorted(entry for entry in used if entry[1] not in allowed) == []
    assert {module for _, module in used} == allowed  # what nobody uses is not at the door
    for name in door.__all__:
        assert getattr(door, name).__name__ == name


@pytest.mark.parametrize(("folder", "stranger"), STRANGERS)
def test_folders_that_are_strangers_do_not_import_each_other(folder: str, stranger: str) -> None:
    for one, other in ((folder, stranger), (stranger, folder)):
        for file in (ROOT / one).rglob("*.py"):
            assert not [m for m in imported(file) if m.startswith(f"codeclab.{other}")], file


FOLDERS = sorted(
    {
        file.parent.relative_to(ROOT).as_posix()
        for top in ("quantizers", "codecs", "discriminators", "benchmarks", "experiments")
        for file in (ROOT / top).rglob("*.py")
    }
)
"""Every folder with Python files, ``/`` between."""


def docstring_of(folder: str) -> str:
    """The text about a folder; that of ``codecs``, as ``__init__.py``, would shadow the standard library's module."""
    file = "base.py" if folder == "codecs" else "__init__.py"
    return ast.get_docstring(ast.parse((ROOT / folder / file).read_text())) or ""


def inside(name: str, folders: Collection[str]) -> bool:
    """Whether a folder is one of those, or within one of them."""
    return any(f"{name}.".startswith(f"{folder}.") for folder in folders)


def imports_of(folder: str) -> set[str]:
    """The ordered folders that a folder's files import; where it has no files of its own, the files of those within."""
    own = folder.replace("/", ".")
    files = set((ROOT / folder).glob("*.py"))
    if files == {ROOT / folder / "__init__.py"}:
        files = set((ROOT / folder).rglob("*.py"))
        own_folders = {name for name in ORDER if inside(name, {own})}
    else:
        own_folders = {own}
    modules = {
        module
        for file in files
        for module in imported(file)
        if module.startswith("codeclab.") and not is_door(file.relative_to(ROOT).as_posix(), module)
    }
    if own not in ORDER:  # its files' modules would be taken for its parent's
        modules = {module for module in modules if not inside(module.removeprefix("codeclab."), {own})}
    return {name for module in modules if (name := folder_of(module))} - own_folders


def test_each_folder_says_what_it_imports() -> None:
    """The last sentence: ``nothing of codeclab``, names of folders, or a folder ``and all below it``, in full.

    A name stands for the folder and those within it. What is named is imported, and nothing else is.
    """
    wrong = []
    for folder in FOLDERS:
        sentence = re.search(r"\nMay import: ([a-z_., ]+)\.$", docstring_of(folder))
        assert sentence, folder
        text, imports = sentence[1], imports_of(folder)
        below = text.removesuffix(" and all below it")
        names = [] if text == "nothing of codeclab" else below.split(", ")
        assert set(names) <= set(ORDER), folder
        assert below == text or len(names) == 1, folder
        allowed = {*names, *(ORDER[: ORDER.index(names[0])] if below != text else ())}
        unnamed = {name for name in imports if not inside(name, allowed)}
        unused = {name for name in names if not any(inside(one, {name}) for one in imports)}
        if unnamed or unused:
            wrong.append(f"{folder} does not name {sorted(unnamed)}, and names {sorted(unused)} in vain")
    assert wrong == []


def test_every_folder_with_python_files_has_its_place_in_the_order_and_says_what_lives_in_it() -> None:
    for folder in FOLDERS:
        assert folder_of(folder.replace("/", ".")) is not None
        assert 3 <= len(docstring_of(folder).splitlines()) <= 10, folder


@pytest.mark.parametrize("folder", ["quantizers", "codecs", "discriminators", "benchmarks"])
def test_only_experiments_know_the_trainer_and_the_logger(folder: str) -> None:
    for file in (ROOT / folder).rglob("*.py"):
        roots = {module.split(".")[0] for module in imported(file)}
        assert not roots & {"lightning", "wandb", "pytorch_lightning"}, file


def test_who_only_wants_a_codec_imports_no_trainer_and_no_logger() -> None:
    program = (
        "import codeclab, sys; codeclab.Codec.from_recipe('dac_44khz', scale='laptop');"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'lightning', 'wandb', 'transformers', 'pandas'}))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


@pytest.mark.parametrize("words", ["encode {wav} out.clc", "reconstruct {wav} out.wav", "stream both --lookahead"])
def test_commands_that_code_audio_import_no_trainer_and_no_logger(tmp_path: Path, words: str) -> None:
    """They are started for one short file after another, where seconds of imports count."""
    soundfile.write(tmp_path / "in.wav", np.zeros(1600), 16000)
    program = (
        "import atexit, sys; from codeclab.experiments.cli import main;"
        "heavy = {'lightning', 'torchmetrics', 'wandb', 'transformers', 'pandas', 'matplotlib'};"
        "atexit.register(lambda: print(sorted({m.split('.')[0] for m in sys.modules} & heavy), file=sys.stderr));"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, *words.format(wav="in.wav").split()]
    run = subprocess.run(command, cwd=tmp_path, input=b"", capture_output=True)
    said = run.stderr.decode().splitlines()
    assert run.returncode == 0, said
    assert said[-1] == "[]", said


def test_what_reads_rare_files_and_what_logs_elsewhere_is_not_needed_where_it_is_not_used() -> None:
    # A GPU machine without a package index, say, on which neither was put.
    program = (
        "import sys, importlib; sys.modules.update(av=None, wandb=None);"
        "from codeclab.experiments.cli.commands import COMMANDS;"
        "print(sorted(importlib.import_module(module).__name__ for _, module in set(COMMANDS.values())))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "codeclab.experiments.cli.fit" in run.stdout, run.stderr
