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
            raise ValueError(f"a clip needs a name and a domain, got {self.name!r} and {self.domain!r}")
        require_tensor(self.audio, f"audio of clip {self.name!r}", "[C, N]")
        if self.audio.ndim != 2 or self.audio.numel() == 0 or not self.audio.is_floating_point():
            raise ValueError(
                f"clip {self.name!r} must hold floats [C, N] with C, N > 0, "
                f"got {self.audio.dtype} {list(self.audio.shape)}"
            )
        if self.sample_rate <= 0:
            raise ValueError(f"clip {self.name!r} needs a positive sample rate in Hz, got {self.sample_rate}")

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.audio.shape[-1] / self.sample_rate
