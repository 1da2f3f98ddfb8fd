"""A W&B workspace whose panels are arranged for comparing codecs."""

import importlib.util
from collections.abc import Mapping
from typing import Any

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.experiments.tracking.wandb_run import X_AXIS
from codeclab.experiments.tracking.wandb_server import api_key, server_problem

TRAINING = {
    "Reconstruction losses": ("train/waveform", "train/spectral"),
    "Adversarial losses": ("train/adversarial", "train/feature", "train/discriminator"),
    "Quantizer's losses": ("train/commitment", "train/codebook", "train/rate", "train/prior"),
    "Shares of the gradient": ("share/waveform", "share/spectral", "share/adversarial", "share/feature"),
    "Scores of the discriminators": ("train/score_real", "train/score_fake"),
    "Gradient norms": ("train/generator_grad_norm", "train/discriminator_grad_norm"),
    "Learning rates": ("train/lr", "train/discriminator_lr"),
    "Bitrate, kbps": ("train/bitrate", "valid/bitrate"),
}
CODEBOOKS = {"Perplexity": "perplexity", "Entropy, bits": "entropy", "Share of entries in use": "usage"}
SPEED = {
    "Items per second": ("speed/items_per_second",),
    "Share of time spent waiting for data": ("speed/data_wait_share",),
    "Memory, GiB": ("speed/memory_gib", "speed/gpu_memory_gib", "speed/gpu_memory_reserved_gib"),
}


def make_workspace(entity: str, project: str, name: str, groups: list[str]) -> Any:
    """The workspace, not yet saved.

    Args:
        entity: name of a user or team.
        project: name of the project.
        name: name of the workspace.
        groups: names of settings that runs are grouped by, such as ``quantizer`` or ``recipe``.
    """
    import wandb_workspaces.reports.v2 as panels
    import wandb_workspaces.workspaces as workspaces

    def curves(titles: Mapping[str, tuple[str, ...]]) -> list[Any]:
        return [panels.LinePlot(title=title, x=X_AXIS, y=list(keys)) for title, keys in titles.items()]

    def matching(titles: dict[str, str]) -> list[Any]:
        return [panels.LinePlot(title=title, x=X_AXIS, metric_regex=regex) for title, regex in titles.items()]

    measured = ("visqol_audio", "visqol_speech", "mel_distance", "stft_distance", "si_snr")
    arrows = {key: "higher is better" if METRICS[key].higher_is_better else "lower is better" for key in measured}
    figures = {f"{METRICS[key].title} ({arrows[key]})": (f"valid/{key}", f"valid/{key}@lowest") for key in measured}
    parts = {f"{METRICS[key].title}, bitrates and domains": f"valid/{key}[@/].*" for key in measured}
    books = {title: f"codebooks/{kind}_.*" for title, kind in CODEBOOKS.items()}
    sections = [
        ("Validation", curves(figures)),
        ("Bitrates and domains", matching(parts)),
        ("Table", [panels.WeavePanelSummaryTable(table_name="table")]),
        ("Training", curves(TRAINING)),
        ("Codebooks", matching(books)),
        ("Speed", curves(SPEED)),
    ]
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            workspaces.Section(name=title, panels=plots, is_open=index < 2)
            for index, (title, plots) in enumerate(sections)
        ],
        settings=workspaces.WorkspaceSettings(x_axis=X_AXIS, group_by_prefix="first"),
        runset_settings=workspaces.RunsetSettings(groupby=[workspaces.Config(key) for key in groups]),
        auto_generate_panels=True,  # clips and spectrograms have names that only the runs know
    )


def obstacle() -> str | None:
    """Why no workspace can be created here, and what would help; None if one can be created."""
    if importlib.util.find_spec("wandb_workspaces") is None:
        return "wandb-workspaces is not installed: pip install 'codeclab[dashboard]'"
    if api_key() is None:
        return "not logged in to W&B: run `wandb login`, or set WANDB_API_KEY"
    return server_problem()
