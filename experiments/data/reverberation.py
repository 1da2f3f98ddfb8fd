"""Reverberation, as EnCodec adds it to what it mixed."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from codeclab.experiments.data.augmentation import Augmentation
from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.rooms import Rooms, find_rooms, put_in_room, read_room


class Reverberation(Augmentation):
    """Puts an item into a room, now and then (EnCodec, section 4.1).

    "Finally we add reverberation using room impulse responses provided by the DNS challenge with probability 0.2, and
    RT60 in the range [0.3, 1.3] except for the single-source music samples." It is the mixture that is put into
    one room, after clipped ones are rejected; its level stays. The responses are those of the folder that
    `data.room_responses` names, each measured here; without a folder there is no reverberation.

    Args:
        probability: How often.
        rt60: Shortest and longest reverberation time in seconds.
        music: Domains whose single sources stay dry.

    Raises:
        ValueError: If the probability is not in [0, 1], or the range is none.
    """

    on_mixture = True

    def __init__(
        self,
        probability: float = 0.2,
        rt60: tuple[float, float] = (0.3, 1.3),
        music: tuple[str, ...] = ("music", "music-like"),
    ) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be from 0 to 1, got {probability}")
        if not 0 < rt60[0] <= rt60[1]:
            raise ValueError(f"rt60 must be the shortest and the longest time in seconds, got {list(rt60)}")
        self.probability = probability
        self.rt60 = rt60
        self.music = music
        self._rooms: Rooms | None = None

    def prepare(self, room_responses: str | None) -> str:
        """Measures the folder's room responses.

        Args:
            room_responses: The folder; None adds no reverberation.

        Returns:
            What there is, for the user to read.

        Raises:
            DataError: If there is no such folder, or nothing of use in it.
        """
        if room_responses is None:
            self._rooms = None
            return "no reverberation: --data.room_responses names no folder of room responses"
        self._rooms = rooms = find_rooms(room_responses, *self.rt60)
        total = len(rooms.paths) + rooms.outside + rooms.unmeasured
        return (
            f"reverberation with probability {self.probability:g} from {len(rooms.paths)} of {total} room responses "
            f"(left out: {rooms.outside} with an RT60 outside {self.rt60[0]:g} to {self.rt60[1]:g} s, "
            f"{rooms.unmeasured} that cannot be measured)"
        )

    def apply(
        self, audio: Tensor, sample_rate: int, rng: np.random.Generator, recordings: Sequence[Recording]
    ) -> Tensor | None:
        """As when called; a single source of music stays dry."""
        if len(recordings) == 1 and recordings[0].domain in self.music:
            return audio
        return self(audio, sample_rate, rng)

    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor | None:
        """Returns the audio in a room, or as it is; None where the room's file can no longer be read."""
        if self._rooms is None or rng.random() >= self.probability:
            return audio
        path = self._rooms.paths[int(rng.integers(len(self._rooms.paths)))]
        try:
            return put_in_room(audio, read_room(path, sample_rate))
        except (DataError, OSError):
            return None
