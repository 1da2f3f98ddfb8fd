"""ViSQOL: an estimate of the listeners' mean opinion score (MOS-LQO, higher is better)."""

from typing import TYPE_CHECKING, Literal

from torch import Tensor

from codeclab.benchmarks.metrics.registry import metric
from codeclab.benchmarks.metrics.visqol_port import RATES, Mapping, score
from codeclab.codecs.resample import resample

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


@metric("ViSQOL (audio, 48 kHz, SVR)", higher_is_better=True, mapping="svr", order=10)
def visqol_audio(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """ViSQOL's audio mode: 48 kHz, 32 bands, support-vector mapping; for music and sound in general.

    Channels are averaged, as ViSQOL's own reader does, and both signals are resampled to 48 kHz
    (``codeclab.codecs.resample``). Needs about 0.7 s of audio.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, M]``.
        sample_rate: sample rate of both in Hz.

    Returns:
        MOS-LQO, about 1 to 4.73.

    Raises:
        MetricError: a signal is too short, silent or not finite.

    Source: Chinen et al., "ViSQOL v3" (2020), https://github.com/google/visqol, through visqol-python.
    """
    return _visqol(reference, estimate, sample_rate, "svr")


@metric(
    "ViSQOL (audio, 48 kHz, SVR, swapped)",
    higher_is_better=True,
    mapping="svr",
    swapped=True,
    matched_too=True,
    order=13,
)
def visqol_audio_swapped(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """``visqol_audio`` with the original as the degraded signal, as DAC's evaluation script calls it; see there.

    ViSQOL is not symmetric. Whether the paper's figures were made so is not known.
    """
    return _visqol(estimate, reference, sample_rate, "svr")


@metric("ViSQOL (speech, 16 kHz, lattice)", higher_is_better=True, mapping="lattice", order=11)
def visqol_speech(
    reference: Tensor, estimate: Tensor, sample_rate: int, mapping: Literal["lattice", "exponential"] = "lattice"
) -> float:
    """ViSQOL's speech mode: 16 kHz, 21 bands, only where the reference has voice activity.

    Channels are averaged, as ViSQOL's own reader does, and both signals are resampled to 16 kHz
    (``codeclab.codecs.resample``).

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, M]``.
        sample_rate: sample rate of both in Hz.
        mapping: mapping to the score: "lattice" is what the official program uses by default; "exponential" is its
            older polynomial fit, which reaches 5 for equal signals. Scores under the two are not comparable.

    Returns:
        MOS-LQO, about 1 to 4.5 (lattice) or 1 to 5 (exponential).

    Raises:
        MetricError: a signal is too short, silent or not finite, or there is no voice activity.

    Source: Chinen et al., "ViSQOL v3" (2020), https://github.com/google/visqol, through visqol-python.
    """
    return _visqol(reference, estimate, sample_rate, mapping)


@metric("ViSQOL (speech, 16 kHz, exponential)", higher_is_better=True, mapping="exponential", order=12)
def visqol_speech_exponential(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """``visqol_speech`` under the mapping "exponential", which some papers report; see there."""
    return _visqol(reference, estimate, sample_rate, "exponential")


def prepare(audio: Tensor, sample_rate: int, mapping: Mapping) -> "NDArray[float32]":
    """Mono float32 samples ``[N]`` at the mapping's rate, from ``audio`` ``[C, N]`` at ``sample_rate`` Hz."""
    mono = audio.detach().float().cpu().mean(dim=0)
    return resample(mono, sample_rate, RATES[mapping]).contiguous().numpy()


def _visqol(reference: Tensor, estimate: Tensor, sample_rate: int, mapping: Mapping) -> float:
    original, decoded = (prepare(audio, sample_rate, mapping) for audio in (reference, estimate))
    return score(original, decoded, mapping, RATES[mapping])
