import inspect
from dataclasses import dataclass
from pathlib import Path

import pytest

from codeclab.codecs.seanet import SEANetEncoder
from codeclab.experiments.runs.folder import RunFolder, RunFolderError, class_defaults, derived_name, flatten

CONFIG = {
    "model": {"encoder": {"class_path": "SEANetEncoder", "init_args": {"n_filters": 8}}, "discriminators": [{"a": 1}]},
    "data": {"workers": 4, "batch_size": 2},
    "trainer": {"max_steps": 10, "devices": 1},
    "name": None,
}


def changed(section: str, key: str, value: object) -> dict:
    return {**CONFIG, section: {**CONFIG[section], key: value}}


def test_flatten_gives_dotted_keys_and_numbers_lists_of_parts() -> None:
    flat = flatten(CONFIG)
    assert flat["model.encoder.init_args.n_filters"] == 8
    assert flat["model.discriminators[0].a"] == 1
    assert flat["name"] is None


def test_a_name_depends_on_the_experiment_not_on_the_machine() -> None:
    name = derived_name("encodec", CONFIG)
    assert name.startswith("encodec-")
    assert derived_name("encodec", CONFIG) == name
    assert derived_name("encodec", changed("data", "workers", 0)) == name
    assert derived_name("encodec", changed("trainer", "devices", 2)) == name
    assert derived_name("encodec", changed("data", "batch_size", 4)) != name
    # An argument that came later and is not used leaves a run its name.
    discriminator = {"class_path": "MSSTFTDiscriminator", "init_args": {"n_filters": 8}}
    later = discriminator | {"init_args": {"n_filters": 8, "window_lengths": None}}
    used = discriminator | {"init_args": {"n_filters": 8, "window_lengths": [64]}}
    names = [derived_name("encodec", changed("model", "discriminators", [one])) for one in (discriminator, later, used)]
    assert names[0] == names[1] != names[2]


def test_a_run_is_continued_with_the_same_settings_only(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.refuse_differences(CONFIG)
    assert folder.open(CONFIG) is None
    folder.refuse_differences(changed("data", "workers", 0))
    with pytest.raises(RunFolderError, match=r"data.batch_size: 2 in the run, 4 now(.|\n)*choose another --name"):
        folder.refuse_differences(changed("data", "batch_size", 4))


def test_more_steps_continue_a_run_and_fewer_do_not(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open(CONFIG)
    folder.refuse_differences(changed("trainer", "max_steps", 20))
    with pytest.raises(RunFolderError, match="trainer.max_steps: 10 in the run, 5 now"):
        folder.refuse_differences(changed("trainer", "max_steps", 5))
    # What a scale derives from the number of steps is explained by it.
    longer = changed("data", "batch_size", 4) | {"trainer": {"max_steps": 20, "devices": 1}}
    with pytest.raises(
        RunFolderError, match=r"data.batch_size: 2.*\n  trainer.max_steps: 10 in the run, 20 now .which"
    ):
        folder.refuse_differences(longer)


def test_a_longer_run_is_told_the_starts_that_a_scale_had_derived(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    starts = {"adversarial_start": 7, "quantizer_start": 5}
    folder.open(CONFIG | {"model": CONFIG["model"] | starts})
    longer = CONFIG | {"trainer": {"max_steps": 20, "devices": 1}}
    later = longer | {"model": CONFIG["model"] | {"adversarial_start": 14, "quantizer_start": 10}}
    advice = "To train it on for more batches, add --model.adversarial_start 7 --model.quantizer_start 5."
    with pytest.raises(RunFolderError, match=advice):
        folder.refuse_differences(later)
    folder.refuse_differences(longer | {"model": CONFIG["model"] | starts})
    with pytest.raises(RunFolderError, match=r"another --name\.$"):
        folder.refuse_differences(later | {"data": {"batch_size": 4, "workers": 2}})


def test_own_code_that_has_changed_since_a_run_began_is_named(tmp_path: Path) -> None:
    part = tmp_path / "part.py"
    part.write_text("x = 1\n")
    config = CONFIG | {"import": [str(part)]}
    folder = RunFolder(tmp_path / "run")
    assert folder.changed_code(config) == ""
    folder.open(config)
    assert folder.changed_code(config) == ""
    part.write_text("x = 2\n")
    said = "part.py has changed since run began; what is trained and measured stays as it is"
    assert folder.changed_code(config) == said
    again = "part.py has changed since run began; what is trained stays as it is, and is measured again"
    assert folder.changed_code(config, ["part"]) == again
    folder.open(config)
    assert folder.changed_code(config) == ""


def test_the_last_checkpoint_is_found(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open(CONFIG)
    folder.checkpoints.mkdir()
    folder.last.write_bytes(b"x")
    assert folder.open(CONFIG) == folder.last


def test_an_argument_that_a_newer_version_added_is_no_difference_while_it_has_its_default(tmp_path: Path) -> None:
    @dataclass
    class Weights:
        waveform: float = 0.0
        added: float = 1.0

    class Model:
        def __init__(
            self, encoder: object, weights: Weights | None = None, pair: tuple[int, int] = (1, 2), added: bool = False
        ) -> None: ...

    here = "codeclab.codecs.seanet.SEANetEncoder"
    default = inspect.signature(SEANetEncoder).parameters["norm"].default
    old = {"model": {"encoder": {"class_path": here, "init_args": {"n_filters": 8}}, "weights": {"waveform": 0.5}}}
    part = {"class_path": here, "init_args": {"n_filters": 8, "norm": default}}
    new = {"model": {"encoder": part, "weights": {"waveform": 0.5, "added": 1.0}, "added": False, "pair": [1, 2]}}
    folder = RunFolder(tmp_path / "run")
    folder.open(old)
    assert folder.differences(new, class_defaults(new, {"model": Model})) == []
    assert len(folder.differences(new)) == 4
    part["init_args"]["norm"] = "another"
    new["model"] |= {"added": True, "weights": {"waveform": 0.0, "added": 2.0}}
    assert folder.differences(new, class_defaults(new, {"model": Model})) == [
        "  model.added: None in the run, True now",
        "  model.encoder.init_args.norm: None in the run, another now",
        "  model.weights.added: None in the run, 2.0 now",
        "  model.weights.waveform: 0.5 in the run, 0.0 now",
    ]


def test_a_run_of_before_a_part_moved_keeps_its_name_and_is_continued(tmp_path: Path) -> None:
    def at(folder: str) -> dict:
        loss = {"class_path": f"codeclab.experiments.{folder}.waveform.WaveformL1", "init_args": {}}
        return {**CONFIG, "model": {"waveform_loss": loss}}

    assert derived_name("encodec", at("losses")) == derived_name("encodec", at("train.losses"))
    folder = RunFolder(tmp_path / "run")
    folder.open(at("losses"))
    assert folder.differences(at("train.losses")) == []
    assert folder.differences(at("train.mine")) != []
