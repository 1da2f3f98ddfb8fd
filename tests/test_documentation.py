"""README.md and docs/: commands, names and links are those that exist."""

import re
import shlex
from importlib import import_module
from pathlib import Path
from runpy import run_path

import pytest
import torch
import yaml

from codeclab.experiments.cli import main
from codeclab.experiments.cli.commands import COMMANDS
from codeclab.experiments.config.files import RECIPES, names
from codeclab.experiments.config.part_names import part_names
from codeclab.experiments.config.parts import SHARED
from codeclab.experiments.runner.read import TABLES

ROOT = Path(__file__).parents[1]
HOOK = run_path(str(ROOT / "docs" / "reference_hook.py"))
public_names, on_page_markdown = HOOK["public_names"], HOOK["on_page_markdown"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = sorted((ROOT / "docs" / "api").glob("*.md"))
PART_FLAGS = ("--model.", "--data.", "--trainer.")
SUBCOMMANDS = ("data", "mushra")


def commands(page: Path) -> list[list[str]]:
    """The words of each `codeclab …` line in the page's shell blocks, comments left out."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [
        shlex.split(line, comments=True)[1:]
        for line in lines
        if line.startswith("codeclab ") and not line.startswith("codeclab --")
    ]


ALL = [words for page in PAGES for words in commands(page)]


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    return {}


def help_of(words: list[str], helps: dict[str, str], capsys: pytest.CaptureFixture[str]) -> str:
    command = words[: 2 if words[0] in SUBCOMMANDS else 1]
    name = " ".join(command)
    if name not in helps:
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        helps[name] = capsys.readouterr().out
    return helps[name]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_commands_and_options_exist(
    words: list[str], helps: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert words[0] in COMMANDS
    options = {word.split("=")[0] for word in words if word.startswith("--")}
    known = set(re.findall(r"--[A-Za-z_][\w-]*", help_of(words, helps, capsys)))
    assert {option for option in options if not option.startswith(PART_FLAGS)} <= known


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_recipes_and_tables_exist(words: list[str]) -> None:
    # A table may be a file of the user's.
    if words[0] in ("table", "tables") and len(words) > 1 and words[1].islower() and not words[1].endswith(".yaml"):
        assert words[1] in names(TABLES)
    if "--config" in words and not words[words.index("--config") + 1].startswith("runs/"):
        recipes = RECIPES / "language_model" if words[0] == "fit-lm" else RECIPES
        assert words[words.index("--config") + 1] in names(recipes)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_readme_can_be_read_in_a_minute_and_its_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    audio = 0.1 * torch.randn(1, 1, 4001, generator=torch.Generator().manual_seed(0))
    scope = {"audio": audio}
    exec(code, scope)
    assert scope["audio"].shape == (1, 1, 4001)
    assert (tmp_path / "my-codec" / "model.safetensors").is_file()


def test_the_page_on_swaps_names_every_part_and_every_argument_taken_over() -> None:
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "swap.md").read_text()))
    offered = {part for parts in part_names().values() for part in parts}
    assert sorted((offered | set(SHARED)) - named) == []


def documented() -> set[str]:
    """What the pages of reference are made from: modules, and single names of modules."""
    pages = "\n".join(on_page_markdown(page.read_text()) for page in REFERENCE)
    return set(re.findall(r"^::: (\S+)$", pages, re.M))


def test_every_public_name_is_on_a_page_of_reference() -> None:
    on_pages = documented()
    assert sorted(name for name in public_names() if not {name, name.rpartition(".")[0]} & on_pages) == []


def test_every_contract_is_on_a_page_of_reference() -> None:
    files = (ROOT / "experiments" / "contracts").glob("[!_]*.py")
    assert {f"codeclab.experiments.contracts.{file.stem}" for file in files} <= documented()


def test_pages_of_reference_are_in_the_menu_and_of_what_exists() -> None:
    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml, whose tags are of no interest here."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
    menu = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]
    (reference,) = (entry["Reference"] for entry in menu if "Reference" in entry)
    assert {page for entry in reference for page in entry.values()} == {f"api/{page.name}" for page in REFERENCE}
    for name in documented():
        try:
            import_module(name)
        except ModuleNotFoundError:
            module, _, member = name.rpartition(".")
            assert hasattr(import_module(module), member), name
