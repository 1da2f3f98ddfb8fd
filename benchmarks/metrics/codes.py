"""Metrics of the codes of a test set: how codebooks and bits are used."""

from typing import TYPE_CHECKING, Any

from codeclab.benchmarks.metrics.registry import metric

if TYPE_CHECKING:
    from pandas import DataFrame, Series


@metric("Bitrate efficiency", higher_is_better=True, form=".1%", of="codes", order=50)
def bitrate_efficiency(codebooks: "DataFrame", together: "Series[Any]") -> float:
    """Sum of the codebooks' first-order entropies over the sum of ``log2(size)`` (Improved RVQGAN, section 4.4).

    Args:
        codebooks: lines of ``Evaluation.codebooks``, one per codebook.
        together: line of all codebooks together.
    """
    return float(together["efficiency"])


@metric("Codebook usage", higher_is_better=True, form=".1%", of="codes", order=51)
def codebook_usage(codebooks: "DataFrame", together: "Series[Any]") -> float:
    """Mean share of entries used at least once; the arguments are those of ``bitrate_efficiency``."""
    return float(together["usage"])


@metric("Codebook entropy", higher_is_better=True, unit="bits", of="codes", order=52)
def codebook_entropy(codebooks: "DataFrame", together: "Series[Any]") -> float:
    """Mean of the codebooks' first-order entropies in bits; the arguments are those of ``bitrate_efficiency``."""
    return float(codebooks["entropy_bits"].astype(float).mean())


@metric("Token perplexity", higher_is_better=True, form=".1f", of="codes", order=53)
def token_perplexity(codebooks: "DataFrame", together: "Series[Any]") -> float:
    """Mean of ``2^entropy``, the number of equally frequent entries of that entropy, over codebooks.

    The arguments are those of ``bitrate_efficiency``.
    """
    return float((2 ** codebooks["entropy_bits"].astype(float)).mean())
