"""Changes to an excerpt before the codec learns from it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import log2, pi
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from codeclab.codecs.loudness import QUIETEST_LUFS, measure_lufs
from codeclab.experiments.data.formats import SILENCE
from codeclab.experiments.data.recording import Recording
from codeclab.quantizers.tensor_input import takes_tensors

DEFAULT_SPEEDS = [0.9, 1.0, 1.1]
"""Three speeds, as Ko et al. have them."""
LOWEST_BAND_HZ = 62.5
"""Below it a response or a noise spectrum is flat."""


class Augmentation(ABC):
    """A part that changes or rejects training excerpts.

    ``on_mixture`` says whether it changes an item's mixture or each of its sources.
    """

    on_mixture = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        takes_tensors(cls, apply=("[C, N]",), __call__=("[C, N]",))

    def draw_speed(self, rng: np.random.Generator) -> float:
        """The speed at which the source is read, relative to its recording; 1 draws nothing."""
        return 1.0

    def apply(
        self, audio: Tensor, sample_rate: int, rng: np.random.Generator, recordings: Sequence[Recording]
    ) -> Tensor | None:
        """Augment as ``__call__`` does; a subclass may use the recordings that the audio comes from.

        Args:
            audio: float32 ``[C, N]``.
            sample_rate: sampling rate in Hz.
            rng: random generator of all draws.
            recordings: the source of the audio: one recording, or all of a mixture.
        """
        return self(audio, sample_rate, rng)

    @abstractmethod
    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor | None:
        """Return the changed excerpt, or None to request another one.

        Args:
            audio: float32 ``[C, N]``.
            sample_rate: sampling rate in Hz.
            rng: random generator of all draws, so that one can be repeated.
        """


class RandomGain(Augmentation):
    """Normalization and a random gain, as EnCodec's section 4.1 has it.

    "The audio is normalized by file and we apply a random gain between -10 and 6 dB. We reject any sample that has
    been clipped." The paper does not say how a file is normalized; here its RMS level is brought to ``target_db``. The
    level of the whole file is known from a manifest that ``codeclab data scan`` wrote; without, and for "peak", it is
    the excerpt's own.

    Args:
        low_db: lowest gain in dB.
        high_db: highest gain in dB.
        reject_clipped: whether an excerpt with a sample outside [-1, 1] after the gain is drawn anew.
        normalize: "rms" brings the file to ``target_db``, and "peak" the excerpt's highest sample; "none" changes
            nothing. After "peak" to 0 dB every positive gain clips.
        target_db: level before the gain, in dB relative to full scale.

    Raises:
        ValueError: ``low_db`` is above ``high_db``.
    """

    def __init__(
        self,
        low_db: float = -10.0,
        high_db: float = 6.0,
        reject_clipped: bool = True,
        normalize: Literal["rms", "peak", "none"] = "rms",
        target_db: float = -24.0,
    ) -> None:
        if low_db > high_db:
            raise ValueError(f"low_db is {low_db} and high_db {high_db}; low_db should not be above high_db")
        if normalize not in ("rms", "peak", "none"):
            raise ValueError(f"normalize is {normalize!r}; it should be 'rms', 'peak' or 'none'")
        self.low_db = low_db
        self.high_db = high_db
        self.reject_clipped = reject_clipped
        self.normalize = normalize
        self.target_db = target_db

    def apply(
        self, audio: Tensor, sample_rate: int, rng: np.random.Generator, recordings: Sequence[Recording]
    ) -> Tensor | None:
        """Amplify as ``__call__`` does, from the level of the whole file if it is known."""
        one = recordings[0] if self.normalize == "rms" and len(recordings) == 1 else None
        known = one.rms_db + one.gain_db if one and one.rms_db is not None and one.mixed is None else None
        return self._amplify(audio, rng, self._measure(audio) if known is None else 10 ** (known / 20))

    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor | None:
        """Return the excerpt at its new level, or None if it clips; silence stays as it is."""
        return self._amplify(audio, rng, self._measure(audio))

    def _measure(self, audio: Tensor) -> float:
        level = {"rms": audio.square().mean().sqrt(), "peak": audio.abs().max(), "none": torch.ones(())}
        return float(level[self.normalize])

    def _amplify(self, audio: Tensor, rng: np.random.Generator, present: float) -> Tensor | None:
        gain = 10 ** (rng.uniform(self.low_db, self.high_db) / 20)
        if present > SILENCE and self.normalize != "none":
            gain *= 10 ** (self.target_db / 20) / present
        audio = audio * gain
        if self.reject_clipped and float(audio.abs().max()) > 1.0:
            return None
        return audio


class SpeedChange(Augmentation):
    """Reads recordings faster or slower, pitch and formants with it: one speaker sounds like several (Ko et al. 2015).

    Args:
        factors: speeds, each equally likely; 1 among them leaves some as they are.

    Raises:
        ValueError: there are no factors, or one outside of [0.5, 2].
    """

    def __init__(self, factors: list[float] = DEFAULT_SPEEDS) -> None:
        if not factors or not all(0.5 <= factor <= 2 for factor in factors):
            raise ValueError(
                f"factors are {factors}; they should be one or more speeds from 0.5 to 2, such as [0.9, 1.0, 1.1]"
            )
        self.factors = list(factors)

    def draw_speed(self, rng: np.random.Generator) -> float:
        """One of the factors."""
        return self.factors[int(rng.integers(len(self.factors)))]

    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
        """Return the excerpt as it was read, at its speed."""
        return audio


class RandomEqualizer(Augmentation):
    """Colours a recording by a smooth random frequency response, as other microphones and rooms would.

    Gains are drawn at points an octave apart, and go straight from one to the next over the logarithm of frequency; the
    phase stays. The level is kept.

    Args:
        range_db: largest gain, up or down, in dB.
        probability: share of the excerpts that are coloured.

    Raises:
        ValueError: the range is negative or the probability not from 0 to 1.
    """

    def __init__(self, range_db: float = 10.0, probability: float = 0.5) -> None:
        if range_db < 0 or not 0 <= probability <= 1:
            raise ValueError(
                f"range_db is {range_db} and probability {probability}; range_db should be at least 0, and probability "
                "from 0 to 1"
            )
        self.range_db = range_db
        self.probability = probability

    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
        """Return the excerpt coloured, or as it is."""
        if rng.random() >= self.probability:
            return audio
        octaves = np.arange(log2(LOWEST_BAND_HZ), log2(sample_rate / 2) + 1)
        gains = rng.uniform(-self.range_db, self.range_db, len(octaves))
        frequencies = np.fft.rfftfreq(audio.shape[-1], 1 / sample_rate).clip(min=LOWEST_BAND_HZ)
        response = torch.from_numpy(10 ** (np.interp(np.log2(frequencies), octaves, gains) / 20)).float()
        coloured = torch.fft.irfft(torch.fft.rfft(audio.float()) * response, n=audio.shape[-1])
        return coloured * (audio.square().mean() / coloured.square().mean().clamp_min(SILENCE**2)).sqrt()


class BackgroundNoise(Augmentation):
    """Adds stationary noise whose power falls with frequency, from white (exponent 0) to brown (2).

    Args:
        low_db: lowest ratio of the excerpt's power to the noise's, in dB.
        high_db: highest ratio in dB.
        probability: share of the excerpts that get noise.

    Raises:
        ValueError: ``low_db`` is above ``high_db`` or the probability not from 0 to 1.
    """

    def __init__(self, low_db: float = 10.0, high_db: float = 50.0, probability: float = 0.5) -> None:
        if low_db > high_db or not 0 <= probability <= 1:
            raise ValueError(
                f"low_db is {low_db}, high_db {high_db} and probability {probability}; low_db should not be above "
                "high_db, and probability should be from 0 to 1"
            )
        self.low_db = low_db
        self.high_db = high_db
        self.probability = probability

    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
        """Return the excerpt with noise, or as it is."""
        if rng.random() >= self.probability:
            return audio
        frequencies = np.fft.rfftfreq(audio.shape[-1], 1 / sample_rate).clip(min=LOWEST_BAND_HZ)
        slope = torch.from_numpy(frequencies ** (-rng.uniform(0.0, 2.0) / 2)).float()
        white = torch.from_numpy(rng.standard_normal(audio.shape, dtype=np.float32))
        noise = torch.fft.irfft(torch.fft.rfft(white) * slope, n=audio.shape[-1])
        ratio = 10 ** (-rng.uniform(self.low_db, self.high_db) / 20)
        return audio + noise * ratio * (audio.square().mean() / noise.square().mean()).sqrt()


class LoudnessNormalize(Augmentation):
    """Brings the excerpt to one loudness by ITU-R BS.1770-4: -24 LUFS in Improved RVQGAN's section 4.1.

    The released DAC configuration says -16 and scales down what then exceeds 1; ``limit_peak`` does that.

    Args:
        target_lufs: loudness in LUFS.
        limit_peak: whether an excerpt whose peak would exceed 1 is scaled down to it instead.
        spread_db: half the width in dB of a uniform draw around the target; 0 in the paper.

    Raises:
        ValueError: ``spread_db`` is negative.
    """

    def __init__(self, target_lufs: float = -24.0, limit_peak: bool = True, spread_db: float = 0.0) -> None:
        if spread_db < 0:
            raise ValueError(f"spread_db is {spread_db} dB, half the width of a draw; it should be at least 0")
        self.target_lufs = target_lufs
        self.limit_peak = limit_peak
        self.spread_db = spread_db

    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
        """Return the excerpt at the loudness; an excerpt quieter than -70 LUFS stays as it is."""
        present = measure_lufs(audio, sample_rate)
        if present < QUIETEST_LUFS:
            return audio
        target = self.target_lufs + (rng.uniform(-self.spread_db, self.spread_db) if self.spread_db else 0.0)
        audio = audio * 10 ** ((target - present) / 20)
        peak = float(audio.abs().max())
        return audio / peak if self.limit_peak and peak > 1.0 else audio


class PhaseShift(Augmentation):
    """Turns the phase of every frequency by one angle, uniform in [-pi, pi] (Improved RVQGAN, section 4.1).

    ``cos(a) x + sin(a) H(x)`` with the Hilbert transform over the whole excerpt, so that its magnitude spectrum
    stays as it is; the mean and the Nyquist frequency, which have no phase, are left alone. All channels turn
    by the same angle.
    """

    def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
        """Return the excerpt with its phase turned."""
        angle = rng.uniform(-pi, pi)
        length = audio.shape[-1]
        spectrum = torch.fft.rfft(audio.float())
        turned = spectrum * torch.polar(torch.tensor(1.0), torch.tensor(angle, dtype=torch.float32))
        turned[:, 0] = spectrum[:, 0]
        if length % 2 == 0:
            turned[:, -1] = spectrum[:, -1]
        return torch.fft.irfft(turned, n=length)
