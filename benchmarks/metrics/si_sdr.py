"""Scale-invariant signal-to-distortion ratio."""

import math

import torch
from torch import Tensor

from codeclab.benchmarks.metrics.registry import metric
from codeclab.benchmarks.metrics.signals import check_pair, is_silent

SMALLEST = 1e-8


@metric("SI-SDR", higher_is_better=True, unit="dB", order=21)
@torch.no_grad()
def si_sdr(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """SI-SDR in dB, higher is better; infinite where the estimate is a scaled reference.

    ``10 log10(|a s|^2 / |a s - e|^2)``, ``a = <e, s> / |s|^2``, both signals without their mean (Le Roux et al. 2019,
    eq. 5; DAC's released code, whose sign is the opposite). Each channel by itself in float64, then the mean over
    channels.

    Args:
        reference: original samples ``s``, ``[C, N]``.
        estimate: decoded samples ``e``, ``[C, N]``.
        sample_rate: unused.

    Returns:
        the ratio in dB; NaN where a channel of the reference is silent, minus infinity where one is silent or
        uncorrelated in the estimate only.

    Raises:
        ValueError: the shapes differ.
    """
    target, distortion = _powers(reference, estimate)
    ratio = torch.where(target == 0, torch.zeros_like(target), target / distortion)
    return float(10 * ratio.log10().mean())


@metric("SI-SDR, negated", higher_is_better=False, unit="dB", order=22)
@torch.no_grad()
def si_sdr_negated(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """SI-SDR as DAC's evaluation script stores it: its negative in dB, lower is better.

    ``1e-8`` is added to both powers, and to those under ``a``, as there: equal signals give a number.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: unused.

    Returns:
        minus the ratio in dB; NaN where a channel of the reference is silent.

    Raises:
        ValueError: the shapes differ.

    Source: descript-audiotools, ``metrics/distance.py``, ``SISDRLoss``.
    """
    target, distortion = _powers(reference, estimate, SMALLEST)
    return float(-10 * (target / (distortion + SMALLEST) + SMALLEST).log10().mean())


def _powers(reference: Tensor, estimate: Tensor, smallest: float = 0.0) -> Tensor:
    """``|a s|^2`` and ``|a s - e|^2`` of each channel, ``[2, C]``; NaN where a channel of the reference is silent."""
    check_pair(reference, estimate)
    if any(is_silent(channel) for channel in reference):
        return torch.full((2, len(reference)), math.nan)
    s = reference.double() - reference.double().mean(dim=-1, keepdim=True)
    e = estimate.double() - estimate.double().mean(dim=-1, keepdim=True)
    a = ((e * s).sum(dim=-1, keepdim=True) + smallest) / (s.square().sum(dim=-1, keepdim=True) + smallest)
    return torch.stack([(a * s).square().sum(dim=-1), (e - a * s).square().sum(dim=-1)])
