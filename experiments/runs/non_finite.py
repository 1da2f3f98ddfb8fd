"""What a run does about a loss that became NaN or infinite."""

from lightning.pytorch.utilities import rank_zero_only
from safetensors.torch import save

from codeclab.codecs.io.files import write_atomically
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.train.non_finite import NonFiniteLossError


def report_non_finite(error: NonFiniteLossError, folder: RunFolder) -> str:
    """Save the batch in the run's folder and say what to do; of several processes, one prints."""
    rank = getattr(rank_zero_only, "rank", 0)
    if rank:
        return f"codeclab fit: process {rank} stopped with the others."
    path = folder.path / f"non_finite_batch_{error.batch}.safetensors"
    write_atomically(path, save({"audio": error.audio.contiguous()}))
    advice = (
        f"The last good checkpoint is {folder.last}: the same command continues from it."
        if folder.last.is_file()
        else "No checkpoint had been written yet."
    )
    return (
        f"codeclab fit: stopped: {error}.\nThe batch is saved in {path}.\n{advice}\n"
        "If it happens again, lower --model.optimizer.lr, set --model.optimizer.clip_norm, or look at the batch."
    )
