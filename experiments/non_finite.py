"""What happens when a loss becomes NaN or infinite: the run stops, and keeps what explains it."""

from safetensors.torch import save_file
from torch import Tensor

from codeclab.experiments.run_folder import RunFolder


class NonFiniteLossError(RuntimeError):
    """A loss became NaN or infinite.

    Args:
        loss: its name.
        value: what it became.
        batch: index of the batch.
        audio: the batch, ``[B, C, N]``.
    """

    def __init__(self, loss: str, value: float, batch: int, audio: Tensor) -> None:
        super().__init__(f"the {loss} loss is {value} at batch {batch}")
        self.loss = loss
        self.batch = batch
        self.audio = audio


def report_non_finite(error: NonFiniteLossError, folder: RunFolder) -> str:
    """Save the batch beside the run's checkpoints and say what to do."""
    path = folder.path / f"non_finite_batch_{error.batch}.safetensors"
    folder.path.mkdir(parents=True, exist_ok=True)
    save_file({"audio": error.audio.contiguous()}, path)
    kept = (
        f"The last good checkpoint is {folder.last}: the same command continues from it."
        if folder.last.is_file()
        else "No checkpoint had been written yet."
    )
    return (
        f"codeclab fit: stopped: {error}.\nThe batch is kept in {path}.\n{kept}\n"
        "If it happens again, lower --model.optimizer.lr, set --model.optimizer.clip_norm, or look at the batch."
    )
