"""UTMOS: listeners' scores of speech, estimated from the decoded audio alone, through ``utmos-pytorch``."""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeclab.benchmarks.metrics.optional import Requirements, mono
from codeclab.benchmarks.metrics.registry import metric
from codeclab.codecs.io.torch_file import read_torch_file

SAMPLE_RATE = 16000
REQUIREMENTS = Requirements(
    ("utmos_pytorch",),
    "CODECLAB_UTMOS",
    "utmos_state_dict.pt of the hub's Blinorot/UTMOS-PyTorch (`hf download Blinorot/UTMOS-PyTorch`)",
    is_file=True,
)


@metric("UTMOS", higher_is_better=True, requirements="REQUIREMENTS", order=65)
@torch.no_grad()
def utmos(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """UTMOS (strong learner), 1 to 5, higher is better; channels averaged, at 16 kHz.

    Args:
        reference: unused: the score is of the decoded audio alone.
        estimate: decoded samples ``[C, N]``.
        sample_rate: sample rate in Hz.

    Raises:
        MetricError: the audio is silent or not finite.
        ValueError: the file of weights is damaged or lacks some.

    Source: Saeki et al. 2022, "UTMOS: UTokyo-SaruLab system for VoiceMOS challenge 2022".
    """
    samples = torch.from_numpy(mono(estimate, sample_rate, SAMPLE_RATE, "estimate"))
    return float(_scorer(REQUIREMENTS.weights).score(samples[None]))


@lru_cache(maxsize=1)
def _scorer(file: str) -> Any:
    from utmos_pytorch import UTMOSScoreTorch

    given = read_torch_file(Path(file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the package uses torch's former weight norm
        scorer = UTMOSScoreTorch(ckpt_path=file, device="cpu")
    # The package loads what fits and leaves the rest random; it has folded a weight norm by now.
    known = set(given) if isinstance(given, dict) else set()
    missing = [name for name in scorer.model.state_dict() if not {name, f"{name}_g"} & known]
    if missing:
        raise ValueError(f"{file} lacks weights of UTMOS, such as {missing[0]}; it should be {REQUIREMENTS.what}")
    return scorer
