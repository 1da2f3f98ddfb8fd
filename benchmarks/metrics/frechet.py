"""Fréchet audio distance: how far a set of decoded clips is from the set of the originals, as embeddings see them."""

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from codeclab.benchmarks.metrics.optional import Requirements, mono
from codeclab.benchmarks.metrics.registry import metric

REQUIREMENTS = Requirements(
    ("transformers",),
    "CODECLAB_FAD",
    "a model of transformers for audio, by folder or hub id, such as laion/clap-htsat-unfused",
)
WINDOW, HOP = 10, 1
"""Seconds of audio in an embedding of CLAP, and between two."""


class Moments:
    """Mean and covariance of vectors that come in pieces."""

    def __init__(self) -> None:
        self.n = 0
        self._sum: Tensor | float = 0.0
        self._products: Tensor | float = 0.0

    def update(self, vectors: Tensor) -> None:
        """Count vectors ``[N, D]``."""
        vectors = vectors.double()
        self.n += vectors.shape[0]
        self._sum = self._sum + vectors.sum(0)
        self._products = self._products + vectors.T @ vectors

    def mean_and_covariance(self) -> tuple[Tensor, Tensor]:
        """Mean ``[D]`` and covariance ``[D, D]``, over ``n - 1``."""
        mean = torch.as_tensor(self._sum) / self.n
        return mean, (torch.as_tensor(self._products) - self.n * torch.outer(mean, mean)) / (self.n - 1)


def frechet_distance(first: Moments, second: Moments) -> float:
    """``|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))``; NaN of fewer than two vectors.

    Source: Kilgour et al. 2019, "Fréchet audio distance".
    """
    if min(first.n, second.n) < 2:
        return math.nan
    (mean, covariance), (other_mean, other) = first.mean_and_covariance(), second.mean_and_covariance()
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    # S S' and S^(1/2) S' S^(1/2) have the same eigenvalues, and the latter is symmetric.
    mixed = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    return float((mean - other_mean).square().sum() + covariance.trace() + other.trace() - 2 * mixed)


@metric(
    "Fréchet audio distance",
    higher_is_better=False,
    form=".3g",
    name="frechet_audio_distance",
    of="set",
    requirements="REQUIREMENTS",
    order=66,
)
class FrechetAudioDistance:
    """The distance of decoded clips from their originals, group by group; lower is better, 0 for equal sets.

    CLAP embeds windows of 10 s, one every second, the last filled up with silence; any other audio model of
    ``transformers`` gives its last hidden states, a vector a frame. Distances under two models are not comparable, and
    few clips make them too large: compare codecs on the same clips.
    """

    def __init__(self) -> None:
        self._moments: dict[Any, tuple[Moments, Moments]] = {}

    def update(self, groups: list[Any], reference: Tensor, estimate: Tensor, sample_rate: int) -> None:
        """Count a clip in its groups.

        Args:
            groups: the groups of the clip.
            reference: original samples ``[C, N]``.
            estimate: decoded samples ``[C, N]``.
            sample_rate: sample rate of both in Hz.

        Raises:
            MetricError: a signal is silent or not finite; nothing is counted.
        """
        model = REQUIREMENTS.weights
        vectors = [
            embeddings(audio, sample_rate, role, model)
            for audio, role in ((reference, "reference"), (estimate, "estimate"))
        ]
        for group in groups:
            pair = self._moments.setdefault(group, (Moments(), Moments()))
            for moments, role_vectors in zip(pair, vectors, strict=True):
                moments.update(role_vectors)

    def results(self) -> dict[Any, float]:
        """The distance of each group."""
        return {group: frechet_distance(*pair) for group, pair in self._moments.items()}


@torch.no_grad()
def embeddings(audio: Tensor, sample_rate: int, role: str, model: str) -> Tensor:
    """Vectors ``[N, D]`` of a clip.

    Args:
        audio: samples ``[C, N]``; channels are averaged.
        sample_rate: sample rate of ``audio`` in Hz.
        role: name of the signal in messages, "reference" or "estimate".
        model: folder or hub id of the model.
    """
    network, extractor = _network(model)
    rate = int(extractor.sampling_rate)
    samples = torch.from_numpy(mono(audio, sample_rate, rate, role))
    if not hasattr(network, "get_audio_features"):
        inputs = extractor(samples.numpy(), sampling_rate=rate, return_tensors="pt")
        return network(**inputs).last_hidden_state[0]
    padded = pad(samples, (0, WINDOW * rate))
    windows = [padded[start : start + WINDOW * rate].numpy() for start in range(0, len(samples), HOP * rate)]
    vectors = network.get_audio_features(**extractor(windows, sampling_rate=rate, return_tensors="pt"))
    return vectors if isinstance(vectors, Tensor) else vectors.pooler_output


@lru_cache(maxsize=1)
def _network(model: str) -> Any:
    from transformers import AutoFeatureExtractor, AutoModel

    return AutoModel.from_pretrained(model).eval(), AutoFeatureExtractor.from_pretrained(model)
