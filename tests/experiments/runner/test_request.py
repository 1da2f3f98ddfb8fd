"""A table's request takes what it leaves open from the table and its scale, whichever door it comes through."""

import ast
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import codeclab
from codeclab.experiments import library
from codeclab.experiments.cli import table as command
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.config.words import read_words
from codeclab.experiments.runner.read import read_table
from codeclab.experiments.runner.request import TableRequest


def written(folder: Path, **settings: object) -> str:
    rows = [{"name": "Opus", "baseline": {"part": "Opus"}}]
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"title": "t", "source": "s", "metrics": ["si_sdr"], "rows": rows} | settings))
    return str(path)


def test_what_is_left_open_is_the_tables_and_its_scales(tmp_path: Path) -> None:
    spec = read_table(written(tmp_path, scale="laptop", data="synthetic"))
    request = TableRequest.of(spec)
    assert (request.scale, request.data, request.seeds, request.split) == ("laptop", None, 3, "all")
    given = TableRequest.of(spec, scale="mini", data="recordings", seeds=1, split="valid")
    assert (given.scale, given.data, given.seeds, given.split) == ("mini", "recordings", 1, "valid")
    own = TableRequest.of(replace(spec, scale=None))
    assert (own.scale, own.seeds) == (None, 1)
    trained = [{"name": "A", "flags": "--config encodec_24khz"}]
    assert TableRequest.of(read_table(written(tmp_path, rows=trained))).split == "test"
    with pytest.raises(RecipeError, match="cannot show a language model"):
        TableRequest.of(spec, fit_lm="laptop")


def test_rows_side_by_side_have_a_device_and_a_share_of_the_cores(tmp_path: Path) -> None:
    request = TableRequest.of(read_table(written(tmp_path)))
    assert (request.alone, request.on_cores, request.elsewhere) == (False, False, False)
    for slots, elsewhere, flags in (([None, None], False, (True, True, False)), (["0"], False, (True, False, False)),
                                    ([], True, (True, False, True))):  # fmt: skip
        here = request.on(slots, 3, elsewhere)
        assert (here.alone, here.on_cores, here.elsewhere, here.workers) == (*flags, 3)


def test_the_command_and_the_library_request_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And neither resolves data, split, seeds or language model itself."""
    requests = []

    def drafted(request: TableRequest, *_: object) -> list[object]:
        requests.append(request)
        raise KeyboardInterrupt

    name = written(tmp_path, scale="laptop", data="recordings")
    for door in (library, command):
        monkeypatch.setattr(door, "draft_rows", drafted)
        tree = ast.parse(inspect.getsource(door))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not [module for module in imported if module and module.startswith("codeclab.experiments.data")]
    with pytest.raises(KeyboardInterrupt):
        codeclab.table(name, jobs=2, trainer__max_steps="3")
    with pytest.raises(KeyboardInterrupt):
        command.run("table", [name, "--jobs", "2", "--workers", "0", "--trainer.max_steps", "3"])
    assert requests[0] == requests[1]
    assert requests[0].extra == read_words(["--trainer.max_steps", "3"])
