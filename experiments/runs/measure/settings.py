"""What is measured of a run, codec or baseline, and on which audio."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MeasuringSettings:
    """What is measured, and on which audio.

    Attributes:
        metrics: names of metrics, from ``METRICS``.
        bitrates: bitrates, kbps; None is all that the codecs offer.
        data: folder of audio, a manifest, or ``recordings``; None is what the run was trained on.
        split: ``test``, ``valid``, ``train`` or ``all``; None is ``test``, or ``all`` where nothing was trained on it.
        sample_rate: sampling rate of the originals, Hz; None is the codecs'.
        clips: largest number of clips, balanced over the domains; None is the run's.
        seconds: duration that clips are cut to, seconds; None is the run's.
        max_left_out: largest share of unusable files, 0 to 1; None is the run's.
        workers: number of processes for ViSQOL; 0 computes it in this one.
        device: device that codecs run on; None takes a GPU where there is one.
    """

    metrics: Sequence[str] = ()
    bitrates: Sequence[float] | None = None
    data: str | None = None
    split: str | None = None
    sample_rate: int | None = None
    clips: int | None = None
    seconds: float | None = None
    max_left_out: float | None = None
    workers: int = 0
    device: str | None = None
