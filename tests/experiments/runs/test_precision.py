"""The precision of a run: requested, stored, or the fast one of the processor."""

import pytest
import yaml

from codeclab.experiments.runs import build as runs_build


@pytest.fixture
def fast(monkeypatch):
    """``fast(answer)``: whether this processor has fast bfloat16."""
    return lambda answer: monkeypatch.setattr(runs_build, "has_fast_bf16", lambda: answer)


@pytest.mark.parametrize(("answer", "precision"), [(True, "bf16-mixed"), (False, None)])
def test_a_new_run_takes_what_is_fast_here(answer, precision, fast, build, capsys):
    fast(answer)
    cli = build("encodec_24khz", trainer__precision="null")
    assert cli.config.trainer.precision == precision
    assert cli.settings["trainer"]["precision"] == precision
    cli.execute()
    assert ("--trainer.precision 32-true" in capsys.readouterr().err) == answer


def test_what_was_asked_for_is_taken(fast, build):
    fast(True)
    assert build("encodec_24khz", trainer__precision="32-true").config.trainer.precision == "32-true"


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_a_run_that_continues_keeps_its_own(before, after, fast, build):
    fast(before)
    first = build("encodec_24khz", 2, trainer__precision="null", trainer__val_check_interval=1)
    first.execute()
    stored = yaml.safe_load(first.folder.config.read_text())["trainer"]["precision"]
    assert stored == ("bf16-mixed" if before else None)
    fast(after)
    again = build("encodec_24khz", 2, trainer__precision="null", trainer__val_check_interval=1)
    assert again.config.trainer.precision == stored
    assert again.resume is not None


def test_the_same_command_finds_the_same_run_on_another_processor(fast, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    words = [*tiny("encodec_24khz", 1, trainer__precision="null"), f"--runs={tmp_path}", "--dry-run"]
    folders = set()
    for answer in (True, False):
        fast(answer)
        folders.add(runs_build.build("fit", words).folder.path)
    assert len(folders) == 1
