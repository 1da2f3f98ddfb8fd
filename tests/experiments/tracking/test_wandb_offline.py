"""What an offline run's own file holds, read back by a reader that is not wandb's."""

import json

import pytest
import torch
from click.testing import CliRunner
from wandb.cli.cli import cli as wandb_command

from codeclab.benchmarks.tables.row import RowResult, RowSpec
from codeclab.benchmarks.tables.table import Table
from codeclab.codecs.codec import Codec
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runner.wandb_table import log_table


@pytest.fixture(scope="module")
def logs(tiny, read_wandb, tmp_path_factory):
    """The offline logs of a run of two batches that was continued for two more, and its folder."""
    from codeclab.experiments.runs import build as fit

    folder = tmp_path_factory.mktemp("runs")
    settings = {
        "trainer__limit_val_batches": 1.0,
        "trainer__val_check_interval": 2,
        "model__discriminator_probability": 1,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for steps in (2, 4):
            flags = tiny("encodec_24khz", steps, **settings)
            fit.build("fit", [*flags, f"--runs={folder}", "--name=run"]).execute()
    return read_wandb(folder / "run"), folder / "run"


def test_a_continued_run_is_the_same_run_and_repeats_nothing(logs):
    records, _ = logs
    assert len(records) == 2
    assert len({log.run.run_id for log in records}) == 1
    assert [sorted(log.rows) for log in records] == [[1, 2], [3, 4]]
    assert all(step == row["batch"] for log in records for step, row in log.rows.items())
    assert [log.exit_code for log in records] == [0, 0]


def test_every_batch_has_losses_shares_norms_scores_rates_and_codebooks(logs):
    records, _ = logs
    losses = {"waveform", "spectral", "adversarial", "feature", "commitment", "discriminator"}
    state = {"generator_grad_norm", "discriminator_grad_norm", "score_real", "score_fake", "lr", "discriminator_lr"}
    books = {f"codebooks/{name}_00" for name in ("usage", "perplexity", "entropy")}
    for log in records:
        for row in log.rows.values():
            assert {f"train/{name}" for name in losses | state | {"bitrate"}} | books <= row.keys()
            assert sum(value for key, value in row.items() if key.startswith("share/")) == pytest.approx(1, abs=1e-3)
        assert {"speed/items_per_second", "speed/data_wait_share", "speed/memory_gib"} <= log.rows[max(log.rows)].keys()


def test_validation_is_logged_by_bitrate_and_domain_and_keeps_the_best(logs):
    records, _ = logs
    row = records[0].rows[2]
    rates = ("", "@lowest")
    domains = ("", "/music-like", "/noise-like")
    assert {f"valid/{name}{r}{d}" for name in ("mel_distance", "si_snr") for r in rates for d in domains} <= row.keys()
    metrics = records[0].metrics
    assert metrics["valid/mel_distance*"].summary.min
    assert metrics["valid/si_snr*"].summary.max
    assert metrics["*"].step_metric == "batch"


def test_clips_are_there_as_audio_and_spectrograms_at_each_rate(logs):
    records, folder = logs
    kinds = {"samples": "audio-file", "spectrograms": "image-file"}
    for log in records:
        row = log.rows[max(log.rows)]
        clips = {key.split("/")[1] for key in row if key.startswith("samples/")}
        assert len(clips) == 2
        for media, kind in kinds.items():
            for clip in clips:
                for rate in ("0.6kbps", "2.4kbps"):
                    value = row[f"{media}/{clip}/{rate}"]
                    assert value["_type"] == kind
                    assert list(folder.glob(f"wandb/offline-run-*/files/{value['path']}"))


def test_settings_are_nested_and_parts_have_short_names(logs):
    records, _ = logs
    log = records[0]
    assert log.config["quantizer"] == "ResidualVQ"
    assert log.config["discriminators"] == "MSSTFTDiscriminator"
    assert log.config["model"]["quantizer"]["codebook_size"] == 16
    assert log.run.run_group == "encodec_24khz"
    assert list(log.run.tags) == ["encodec_24khz", "paper"]


def test_the_codec_is_an_artifact(logs):
    records, folder = logs
    artifact = records[1].artifacts[-1]
    assert artifact.type == "codec"
    assert set(artifact.aliases) == {"latest", "best"}
    entries = {entry.path: entry for entry in artifact.manifest.contents}
    assert entries.keys() == {path.name for path in (folder / "codec").iterdir()}
    assert Codec.from_pretrained(folder).bitrates == [0.6, 2.4]


def test_a_table_is_one_wandb_table_with_the_papers_figures_and_clips(logs, read_wandb, tmp_path, monkeypatch):
    _, run = logs
    monkeypatch.setenv("WANDB_MODE", "offline")
    job = Job(TableSpec("encodec_table2", "T", "", [RowSpec("MPD")]), run.name, str(run.parent))
    made = RowResult.named("MPD", published={"si_snr": 7.35, "mushra": "60.7 ± 2.8"}, bitrate=6, wall_seconds=3.0)
    log_table(Table("A title", "A source", ["si_snr"], [made]), {"MPD": [job]}, tmp_path)
    (log,) = read_wandb(tmp_path)
    (row,) = log.rows.values()
    assert row["table"]["_type"] == "table-file"
    (file,) = tmp_path.glob(f"wandb/offline-run-*/files/{row['table']['path']}")
    held = json.loads(file.read_text())
    cells = dict(zip(held["columns"], held["data"][0], strict=True))
    assert cells["row"] == "MPD"
    assert "7.35" in [cells[name] for name in cells if name.endswith(", published")]
    assert "60.7 ± 2.8" in [cells[name] for name in cells if name.endswith(", published")]
    # W&B keeps what cells play beside the table, in the artifact it shows it from.
    (artifact,) = log.artifacts
    paths = [entry.path for entry in artifact.manifest.contents]
    assert "table.table.json" in paths
    assert sum(path.startswith("media/audio/") for path in paths) == 2
    assert log.run.job_type == "table"


def test_a_server_that_refuses_lets_training_go_on_offline(build, read_wandb, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: nothing listens
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    cli = build("encodec_24khz", 2, wandb="online")
    cli.execute()
    assert "logging offline" in capsys.readouterr().err
    (log,) = read_wandb(tmp_path / "run")
    assert sorted(log.rows) == [1, 2]
    assert torch.isfinite(next(Codec.from_pretrained(tmp_path / "run").parameters())).all()


def test_both_folders_of_a_continued_run_are_found_to_sync(logs, monkeypatch):
    _, folder = logs
    monkeypatch.delenv("WANDB_MODE", raising=False)
    parts = sorted(folder.glob("wandb/offline-run-*"))
    result = CliRunner().invoke(wandb_command, ["sync", "--dry-run", *map(str, parts)])
    assert result.exit_code == 0, result.output
    assert "Would sync 2 run(s)" in result.output
