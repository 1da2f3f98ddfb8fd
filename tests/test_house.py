"""What surrounds the code: the workflow, the image, the citation and the hooks say what the project says."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import codeclab

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTRUCTIONS = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENTRYPOINT", "CMD"}


def pythons() -> list[str]:
    low, high = re.findall(r"3\.(\d+)", PYPROJECT["project"]["requires-python"])
    return [f"3.{minor}" for minor in range(int(low), int(high))]


def test_hosted_ci_runs_the_contributors_command_on_every_python() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == pythons()
    commands = [step.get("run") for job in jobs.values() for step in job["steps"]]
    assert {"make test", "make test-slow"} <= set(commands)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {command.split()[1] for command in commands if command and command.startswith("make ")} <= targets


def test_hooks_are_the_checks_of_make_lint() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = " ".join(hook["entry"] for hook in repository["hooks"])
    for tool in ("ruff check", "ruff format", "mypy"):
        assert f".venv/bin/{tool}" in entries
        assert f"$(BIN)/{tool}" in (ROOT / "Makefile").read_text()


def test_citation_and_changelog_have_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == codeclab.__version__
    assert citation["license"] == PYPROJECT["project"]["license"]
    assert re.search(rf"^## {re.escape(codeclab.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M)


def test_the_image_copies_what_exists_and_its_default_python_is_supported() -> None:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    assert {instruction for instruction, _ in lines} <= INSTRUCTIONS
    arguments = dict(rest.split("=") for instruction, rest in lines if instruction == "ARG" and "=" in rest)
    assert arguments["PYTHON"] in pythons()
    assert arguments["DEVICE"] == "cpu"
    copied = [source for instruction, rest in lines if instruction == "COPY" for source in rest.split()[:-1]]
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert source not in ignored
    assert not {"src", "codecs", "quantizers", "discriminators", "experiments", "benchmarks"} & set(ignored)
    (pattern,) = re.findall(r"grep -v -E '([^']+)'", text)
    locked = (ROOT / "requirements.lock").read_text().splitlines()
    left = [line for line in locked if not re.match(pattern, line)]
    assert any(line.startswith("torch==") for line in left)
    assert not [line for line in left if line.startswith(("nvidia", "triton"))]


def test_issue_forms_are_forms() -> None:
    for form in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        content = yaml.safe_load(form.read_text())
        assert {"name", "description", "body"} <= set(content)
        assert all(part["type"] in ("input", "textarea") and part["attributes"]["label"] for part in content["body"])


@pytest.mark.slow
def test_the_documentation_builds_and_asks_no_other_server(tmp_path: Path) -> None:
    copy, site = tmp_path / "reference", tmp_path / "site"
    copy.mkdir()
    tree = subprocess.run(
        ["tar", "-chf", "-", "-C", str(ROOT / "src"), "--exclude=*.flac", "--exclude=results", "codeclab"],
        check=True,
        capture_output=True,
    )
    subprocess.run(["tar", "-xf", "-", "-C", str(copy)], input=tree.stdout, check=True)
    (copy / "codeclab" / "codecs" / "__init__.py").touch()
    config = (ROOT / "mkdocs.yml").read_text().replace("build/reference", str(copy))
    config = config.replace("docs_dir: docs", f"docs_dir: {ROOT / 'docs'}").replace('["."]', f'["{ROOT}"]')
    config = config.replace("hooks: [docs/", f"hooks: [{ROOT}/docs/")
    (tmp_path / "mkdocs.yml").write_text(config)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    subprocess.run(
        [*command, "-f", str(tmp_path / "mkdocs.yml")], check=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    for page in site.rglob("*.html"):
        assert not re.findall(r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"', page.read_text())
    reference = re.sub(r"<[^>]+>", "", (site / "api/quantizers/index.html").read_text())
    assert "Residual vector quantization with codebooks learnt by running averages" in reference
    assert not list(site.rglob("*.py"))
