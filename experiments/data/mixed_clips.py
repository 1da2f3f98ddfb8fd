"""Validation clips that are drawn and mixed as training excerpts are."""

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.experiments.data.clips import Clips
from codeclab.experiments.data.excerpts import TrainExcerpts


class MixedClips(Clips):
    """Clips by the sampling and the augmentations of training, from other recordings; the same in every run.

    EnCodec validates so: "for training and validation, we define a mixing strategy" (section 4.1). Clip ``i`` is item
    ``i`` of the first batch. A clip of one source stands under its domain, one of several under "mixture".

    Args:
        excerpts: source of the clips, with its recordings, sampling and augmentations.
        n_clips: number of clips.
    """

    def __init__(self, excerpts: TrainExcerpts, n_clips: int) -> None:
        super().__init__([], excerpts.corpus.read, excerpts.sample_rate, excerpts.channels, excerpts.seconds)
        self.excerpts = excerpts
        self.n_clips = n_clips

    def __len__(self) -> int:
        """Number of clips."""
        return self.n_clips

    def name_of(self, index: int) -> str:
        """The clip's number: a clip of several recordings has no name of its own."""
        return f"mixed-{index:03}"

    @property
    def longest(self) -> float:
        """Duration of every clip in seconds."""
        return self.seconds

    def _slice(self, part: slice) -> "MixedClips":
        start, stop, step = part.indices(self.n_clips)
        if (start, step) != (0, 1):
            raise ValueError("mixed clips are drawn in their order: a slice of them begins at 0")
        return MixedClips(self.excerpts, stop)

    def _clip(self, index: int) -> Clip:
        if not 0 <= index < self.n_clips:
            raise IndexError(f"there is no clip {index} of {self.n_clips}")
        audio, recordings = self.excerpts.draw_sources(0, index)
        domain = recordings[0].domain if len(recordings) == 1 else "mixture"
        return Clip(self.name_of(index), domain, audio, self.sample_rate)
