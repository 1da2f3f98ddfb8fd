"""One piece of test audio, as every measurement takes it."""

from dataclasses import dataclass

from torch import Tensor

from codeclab.quantizers.tensor_input import require_tensor


@dataclass(frozen=True)
class Clip:
    """A named piece of audio from one domain.

    Args:
        name: name of the clip in the results (unique within a test set).
        domain: the kind of sound, such as "speech" or "music"; results are given per domain.
        audio: samples ``[C, N]``, float32, nominally within [-1, 1].
        sample_rate: sample rate in Hz.

    Raises:
        NotATensorError: the audio is an array or anything else.
        ValueError: the name or the domain is empty, the audio is not ``[C, N]`` of floats with at
            least one sample, or the sample rate is not positive.
    """

    name: str
    domain: str
    audio: Tensor
    sample_rate: int

    def __post_init__(self) -> None:
        """Refuse what no metric could be computed on."""
        if not self.name or not self.domain:
            raise ValueError(f"a clip's name is {self.name!r} and its domain {self.domain!r}; neither should be empty")
        require_tensor(self.audio, f"audio of clip {self.name!r}", "[C, N]")
        if self.audio.ndim != 2 or self.audio.numel() == 0 or not self.audio.is_floating_point():
            raise ValueError(
                f"audio of clip {self.name!r} is {self.audio.dtype} {list(self.audio.shape)}; it should be floats "
                "[C, N] with C, N > 0"
            )
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate of clip {self.name!r} is {self.sample_rate} Hz; it should be positive")

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.audio.shape[-1] / self.sample_rate
