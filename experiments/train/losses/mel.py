"""Reconstruction losses on mel spectrograms of several window lengths."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from codeclab.benchmarks.metrics.mel_distance import WINDOW_LENGTHS, MelDistance
from codeclab.codecs.layers.mel import MelSpectrogram, joined_spectra
from codeclab.experiments.train.losses.base import ReconstructionLoss
from codeclab.quantizers.host_work import to_device


class MultiScaleMelLoss(ReconstructionLoss):
    """EnCodec's multi-scale spectral loss (eq. 1) as its authors' code computes it.

    ``sum_i mean|S_i(x) - S_i(x')| + alpha_i mean(log10 S_i(x) - log10 S_i(x'))^2``, divided by ``sum_i (1 +
    alpha_i)`` when ``normalized``. ``S_i``: power mels, HTK scale, hop a quarter of the window. The paper writes an
    L2 norm of ``S_i`` itself. This class follows AudioCraft, which squares the difference of logarithms of ``floor +
    S_i``. With ``as_printed`` it is eq. (1) exactly, ``1/I sum_i |S_i(x) - S_i(x')|_1 + alpha_i |S_i(x) - S_i(x')|_2``
    over ``I`` windows, with norms over each channel of an item and a mean over both.

    Args:
        sample_rate: sampling rate in Hz.
        window_lengths: window lengths in samples; the paper's are 2^5 to 2^11, AudioCraft's recipe has 2^6 to 2^10.
        n_mels: number of mel bands of every window.
        f_min: lowest frequency in Hz (AudioCraft's recipe: 64).
        f_max: highest frequency in Hz; None is half the sample rate.
        normalized: whether spectra are divided by the window's L2 norm, and the sum by the weights of its terms.
        growing_alpha: whether ``alpha_i`` is ``sqrt(window_i - 1)`` (after Gritsenko et al.); otherwise the paper's 1.
        floor: constant added to the mels in the logarithm.
        as_printed: whether the loss is eq. (1) as printed; ``normalized`` then applies to spectra alone.
    """

    shares: Tensor

    def __init__(
        self,
        sample_rate: int,
        window_lengths: Sequence[int] = WINDOW_LENGTHS,
        n_mels: int = 64,
        f_min: float = 0.0,
        normalized: bool = True,
        growing_alpha: bool = False,
        floor: float = 1e-5,
        f_max: float | None = None,
        as_printed: bool = False,
    ) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.window_lengths = list(window_lengths)
        self.n_mels = n_mels
        self.f_min = f_min
        self.f_max = f_max
        self.as_printed = as_printed
        self.normalized = normalized
        self.growing_alpha = growing_alpha
        self.floor = floor
        self.alphas = [(window - 1) ** 0.5 if growing_alpha else 1.0 for window in window_lengths]
        self.register_buffer("shares", torch.tensor([[1.0] * len(self.alphas), self.alphas]), persistent=False)
        self.spectrograms = nn.ModuleList(
            MelSpectrogram(sample_rate, window, n_mels, "htk", 2, "same", normalized, f_min, f_max)
            for window in window_lengths
        )

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The distance between ``fake`` and ``real``, both ``[B, C, N]``, as a scalar.

        Raises:
            ValueError: the audio is too short for the reflection padding of the longest window.
        """
        if self.as_printed:
            return self._as_printed(fake, real)
        mels, sizes = joined_spectra(self.spectrograms, fake)
        others, _ = joined_spectra(self.spectrograms, real)
        logarithms = (mels + self.floor).log10() - (others + self.floor).log10()
        pairs = torch.stack([(mels - others).abs(), logarithms.square()])
        lengths = to_device(lambda: torch.tensor(sizes), mels.device)
        # The weight of each value in the sum over windows of weighted means; one product is that sum.
        factors = (self.shares / lengths).repeat_interleave(lengths, dim=1, output_size=len(mels))
        total = torch.dot(pairs.flatten(), factors.flatten())
        return total / sum(alpha + 1 for alpha in self.alphas) if self.normalized else total

    def _as_printed(self, fake: Tensor, real: Tensor) -> Tensor:
        terms = []
        for alpha, spectrogram in zip(self.alphas, self.spectrograms, strict=True):
            difference = (spectrogram(fake) - spectrogram(real)).flatten(2)
            terms.append((difference.norm(1, dim=2) + alpha * difference.norm(2, dim=2)).mean())
        return torch.stack(terms).mean()


class MultiScaleLogMelLoss(MelDistance, ReconstructionLoss):
    """DAC's multi-scale mel loss (section 3.5), the definition of the benchmarks' mel distance.

    The single-scale ablation row is ``window_lengths=[512], n_mels=[80]``.

    Args:
        sample_rate: sampling rate in Hz.
        window_lengths: window lengths in samples.
        n_mels: numbers of mel bands, one per window.
        log_weight: weight of the distance between logarithms; the exponent ``pow`` in the released code is a factor of
            it.
        magnitude_weight: weight of the distance between magnitudes (the paper: 0).
        f_min: lowest frequency in Hz, of all windows or one each, as the DAC package has it.
        f_max: highest frequency in Hz, likewise; None is half the sample rate.
        floor: lower limit of magnitudes in the logarithm (the released code: ``clamp_eps``).
    """

    sample_rate: int

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        """The distance between ``fake`` and ``real``, both ``[B, C, N]``, as a scalar.

        Raises:
            ValueError: the audio is too short for the reflection padding of the longest window.
        """
        return super().forward(fake, real)
