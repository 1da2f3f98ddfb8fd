"""Share of words that a recognizer hears differently after coding, through ``transformers`` and ``jiwer``."""

import re
from functools import lru_cache
from typing import Any

from torch import Tensor

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.benchmarks.metrics.optional import Requirements, mono
from codeclab.benchmarks.metrics.registry import metric

REQUIREMENTS = Requirements(
    ("jiwer", "transformers"),
    "CODECLAB_ASR",
    "a recognizer of transformers, by folder or hub id, such as openai/whisper-base.en",
)


@metric("Word error rate", higher_is_better=False, form=".1%", requirements="REQUIREMENTS", order=64)
def word_error_rate(reference: Tensor, estimate: Tensor, sample_rate: int) -> float:
    """Word error rate of the decoded speech against what the same recognizer hears in the original, lower is better.

    No transcript is needed: words that the recognizer mishears in the original do not count against the codec. Words
    are compared in lower case, without punctuation.

    Args:
        reference: original samples ``[C, N]``.
        estimate: decoded samples ``[C, N]``.
        sample_rate: sample rate of both in Hz.

    Returns:
        substitutions, deletions and insertions over the original's words; 0 where both are heard alike.

    Raises:
        MetricError: a signal is silent or not finite, or no word is heard in the original.
    """
    texts = [_words(audio, sample_rate, role) for audio, role in ((reference, "reference"), (estimate, "estimate"))]
    return words_wrong(*texts)


def words_wrong(original: str, decoded: str) -> float:
    """Word error rate of the text of the decoded speech against that of the original.

    Raises:
        MetricError: there is no word in ``original``.
    """
    import jiwer

    original, decoded = (" ".join(re.findall(r"[\w']+", text.lower())) for text in (original, decoded))
    if not original:
        raise MetricError("no words were recognized in the reference")
    return float(jiwer.wer(original, decoded))


def _words(audio: Tensor, sample_rate: int, role: str) -> str:
    recognizer = _recognizer(REQUIREMENTS.weights)
    rate = int(recognizer.feature_extractor.sampling_rate)
    return str(recognizer({"raw": mono(audio, sample_rate, rate, role), "sampling_rate": rate})["text"])


@lru_cache(maxsize=1)
def _recognizer(model: str) -> Any:
    from transformers import pipeline

    return pipeline("automatic-speech-recognition", model=model)
