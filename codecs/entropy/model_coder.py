"""Codes in fewer bits by the language model's predictions (EnCodec 3.3), on any machine alike."""

from collections.abc import Iterator

import numpy as np

from codeclab.codecs.entropy.arithmetic_coder import ArithmeticDecoder, ArithmeticEncoder
from codeclab.codecs.entropy.coders import TOTAL, Array, CodesCoder
from codeclab.codecs.entropy.integer_model import IntegerLanguageModel
from codeclab.codecs.entropy.language_model import LanguageModel

STEPS = 256
"""Time steps whose predictions are held at once; the codes to be written are all known."""


class ModelCoder(CodesCoder):
    """Each code by what the language model expects, given those of the time steps before.

    Args:
        model: trained on codes of the codec.
    """

    number = 3
    name = "lm"

    def __init__(self, model: LanguageModel) -> None:
        self._model = IntegerLanguageModel(model)
        self.fingerprint = self._model.fingerprint

    def encode(self, codes: Array) -> bytes:
        """See ``CodesCoder``."""
        coder = ArithmeticEncoder()
        for piece, shares in self._predicted(codes):
            for frame, row in zip(piece.T.tolist(), shares.cumsum(-1), strict=True):
                for symbol, table in zip(frame, row, strict=True):
                    coder.encode(symbol, table)
        return coder.finish()

    def decode(self, data: bytes, n_codebooks: int, frames: int) -> Array:
        """See ``CodesCoder``."""
        coder = ArithmeticDecoder(data)
        state = self._model.start()
        previous = np.zeros((n_codebooks, 1), dtype=np.int64)
        found = np.zeros((frames, n_codebooks), dtype=np.int64)
        for frame in found:
            shares, state = self._model.frequencies(previous, state)
            frame[:] = [coder.decode(table) for table in shares[0].cumsum(-1)]
            previous = 1 + frame[:, None]
        if coder.finish() != len(data):
            raise ValueError("bytes follow the end of the codes")
        return found.T

    def bits(self, codes: Array) -> float:
        """See ``CodesCoder``."""
        total = 0.0
        for piece, shares in self._predicted(codes):
            chosen = np.take_along_axis(shares, piece.T[..., None], -1)
            total -= float(np.log2(chosen / TOTAL).sum())
        return total

    def _predicted(self, codes: Array) -> Iterator[tuple[Array, Array]]:
        """Pieces of codes ``[K, t]`` with the frequencies ``[t, K, size]`` that were expected of them."""
        previous = np.pad(codes[:, :-1] + 1, ((0, 0), (1, 0)))
        state = self._model.start()
        for first in range(0, codes.shape[1], STEPS):
            shares, state = self._model.frequencies(previous[:, first : first + STEPS], state)
            yield codes[:, first : first + STEPS], shares
