"""Shell completion: what a shell itself offers after the script is read."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codeclab.experiments.cli import main
from codeclab.experiments.cli.commands import COMMANDS
from codeclab.experiments.cli.completion import SHELLS, flags_of
from codeclab.experiments.config.parts import LINKED

COMPLETE = """
source "$1"
COMP_WORDS=("${@:2}")
COMP_CWORD=$(($# - 2))
_shtab_codeclab
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory):
    """``offered(words...)``: what bash offers for the last word."""
    pytest.importorskip("shtab", reason="needs shtab: pip install 'codeclab[completion]'")
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    script = tmp_path_factory.mktemp("completion") / "codeclab.bash"
    command = [sys.executable, "-m", "codeclab.experiments", "--print_completion", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    script.write_text(done.stdout)

    def complete(*words: str) -> list[str]:
        call = [bash, "-c", COMPLETE, "bash", str(script), "codeclab", *words]
        return subprocess.run(call, capture_output=True, text=True, cwd=script.parent).stdout.split()

    return complete


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["ev"], ["evaluate"]),
        (["fit", "--sc"], ["--scale"]),
        (["fit", "--scale", ""], ["lab", "laptop", "mini", "paper"]),
        (["fit", "--config", "dac_44"], ["dac_44khz", "dac_44khz_16kbps", "dac_44khz_ablation"]),
        (["fit", "--model.quantizer", "F"], ["FSQ", "FactorizedVQ"]),
        (["fit", "--model.quantizer.codebook_d"], ["--model.quantizer.codebook_dim"]),
        (["fit", "--model.update_order", ""], ["discriminator_first", "joint"]),
        (["fit", "--trainer.max_s"], ["--trainer.max_steps"]),
        (["fit", "--model.optimizer.l"], ["--model.optimizer.lr"]),
        (["table", "--see"], ["--seeds"]),
        (["fit", "--run-"], ["--run-code"]),
        (["encode", "--run-"], ["--run-code"]),
        (["tables", "en"], ["encodec_table1"]),
    ],
)
def test_bash_offers(words: list[str], some: list[str], offered) -> None:
    assert set(some) <= set(offered(*words))


def test_every_command_is_offered(offered) -> None:
    assert set(COMMANDS) <= set(offered(""))


def test_flags_are_those_that_can_be_given() -> None:
    flags = flags_of("fit")
    assert {"MSSTFTDiscriminator", "MultiScaleDiscriminator"} <= set(flags["--model.discriminators"])
    assert flags["--model.balancer.enabled"] == ["true", "false"]
    assert not [flag for flag in flags if flag.removeprefix("--") in LINKED]


@pytest.mark.parametrize("words", [[], ["tcsh"]])
def test_another_shell_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--print_completion", *words])
    assert capsys.readouterr().err.endswith(f"it should be {' or '.join(SHELLS)}\n")


def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("codeclab.experiments.cli.completion.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        main(["--print_completion", "bash"])
    assert "pip install 'codeclab[completion]'" in capsys.readouterr().err
