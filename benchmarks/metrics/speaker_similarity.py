"""Whether the decoded voice is the speaker's, through ``resemblyzer``, whose weights lie in the package."""

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.optional import Requirements, mono
from codeclab.benchmarks.metrics.registry import metric

REQUIREMENTS = Requirements(("resemblyzer", "librosa", "webrtcvad"))
SAMPLE_RATE = 16000


@metric("Speaker similarity", higher_is_better=True, form=".3f", requirements="REQUIREMENTS", order=63)
def speaker_similarity(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """Cosine of two voices' embeddings, at most 1, higher is better; of speech, channels averaged, at 16 kHz.

    Both signals are prepared as the package prepares speech (raised to -30 dB, long pauses cut) and embedded by its
    voice encoder, of the generalized end-to-end loss (Wan et al. 2018).

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: sample rate of both in Hz.

    Raises:
        MetricError: a signal is silent or not finite, or no voice is heard in it.
    """
    first, second = (
        _embedding(audio, sample_rate, role) for audio, role in ((reference, "reference"), (estimate, "estimate"))
    )
    return float(np.dot(first, second))


def _embedding(audio: Tensor, sample_rate: int, role: str) -> Any:
    encoder, prepare = _encoder()
    speech = prepare(mono(audio, sample_rate, SAMPLE_RATE, role))
    if len(speech) == 0:
        raise MetricError(f"the {role} has no voice in it")
    return encoder.embed_utterance(speech)


@lru_cache(maxsize=1)
def _encoder() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the SciPy and pkg_resources of its time
        from resemblyzer import VoiceEncoder, preprocess_wav
    return VoiceEncoder("cpu", verbose=False), preprocess_wav
