"""Imports go one way: quantizers <- codecs <- {discriminators, benchmarks} <- experiments."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "quantizers": {"quantizers"},
    "codecs": {"quantizers", "codecs"},
    "discriminators": {"quantizers", "codecs", "discriminators"},
    "benchmarks": {"quantizers", "codecs", "benchmarks"},
    "experiments": {"quantizers", "codecs", "discriminators", "benchmarks", "experiments"},
}


def imported(file: Path) -> set[str]:
    """Modules a file imports when it is imported itself: those inside functions are not."""
    found = set()
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in (ROOT / folder).rglob("*.py")
        for module in imported(file)
        if module.startswith("codeclab.") and module.split(".")[1] not in ALLOWED[folder]
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["quantizers", "codecs", "discriminators", "benchmarks"])
def test_only_experiments_know_the_trainer_and_the_logger(folder: str) -> None:
    for file in (ROOT / folder).rglob("*.py"):
        roots = {module.split(".")[0] for module in imported(file)}
        assert not roots & {"lightning", "wandb", "pytorch_lightning"}, file


def test_who_only_wants_a_codec_imports_no_trainer_and_no_logger() -> None:
    program = (
        "import codeclab, sys; codeclab.Codec.from_recipe('dac_44khz', scale='demo');"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'lightning', 'wandb', 'transformers', 'pandas'}))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_what_reads_rare_files_and_what_logs_elsewhere_is_not_needed_where_it_is_not_used() -> None:
    # A GPU machine without a package index, say, on which neither was put.
    program = (
        "import sys, importlib; sys.modules.update(av=None, wandb=None);"
        "from codeclab.experiments.cli import COMMANDS;"
        "print(sorted(importlib.import_module(module).__name__ for _, module in set(COMMANDS.values())))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "codeclab.experiments.fit" in run.stdout, run.stderr
