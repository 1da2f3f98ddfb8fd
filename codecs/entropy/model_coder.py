"""Entropy coding of codes with the language model's predictions (EnCodec 3.3), the same on every machine."""

from collections.abc import Iterator, Sequence

import numpy as np

from codeclab.codecs.entropy.arithmetic_coder import ArithmeticDecoder, ArithmeticEncoder
from codeclab.codecs.entropy.coders import TOTAL, Array, CodesCoder
from codeclab.codecs.entropy.integer_model import IntegerLanguageModel
from codeclab.codecs.entropy.language_model import LanguageModel

STEPS = 256
"""Time steps predicted in one call while encoding, where all codes are known."""

PARALLEL_CHUNKS = 8
"""Chunks that are decoded in parallel; predictions and caches take 1 to 2 MiB for each."""


class ModelCoder(CodesCoder):
    """Arithmetic coding of each code with the language model's prediction from the time steps before.

    Args:
        model: language model trained on the codec's codes.
    """

    number = 3
    name = "lm"

    def __init__(self, model: LanguageModel) -> None:
        self._model = IntegerLanguageModel(model)
        self.fingerprint = self._model.fingerprint

    def encode(self, codes: Array) -> bytes:
        """See ``CodesCoder``."""
        coder = ArithmeticEncoder()
        for block, shares in self._predicted(codes):
            for frame, row in zip(block.T.tolist(), shares.cumsum(-1), strict=True):
                for symbol, table in zip(frame, row, strict=True):
                    coder.encode(symbol, table)
        return coder.finish()

    def decode(self, data: bytes, n_codebooks: int, frames: int) -> Array:
        """See ``CodesCoder``."""
        (codes,) = self.decode_chunks([(data, frames)], n_codebooks)
        if isinstance(codes, ValueError):
            raise codes
        return codes

    def decode_chunks(self, chunks: Sequence[tuple[bytes, int]], n_codebooks: int) -> list[Array | ValueError]:
        """See ``CodesCoder``; several chunks in parallel, for which the model's weights are read once."""
        # Longest first: the chunks that end at a time step are then always the last ones of the batch.
        order = sorted(range(len(chunks)), key=lambda index: -chunks[index][1])
        decoded: dict[int, Array | ValueError] = {}
        for first in range(0, len(order), PARALLEL_CHUNKS):
            group = order[first : first + PARALLEL_CHUNKS]
            decoded |= zip(group, self._decode_parallel([chunks[index] for index in group], n_codebooks), strict=True)
        return [decoded[index] for index in range(len(chunks))]

    def _decode_parallel(self, chunks: list[tuple[bytes, int]], n_codebooks: int) -> list[Array | ValueError]:
        """The codes of each of the chunks, which are in order of falling length, or the error in its bytes."""
        sequences = [_Sequence(data, n_codebooks, frames) for data, frames in chunks]
        state = self._model.start(len(sequences))
        active = sequences
        previous = np.zeros((len(active), n_codebooks, 1), dtype=np.int64)
        for frame in range(chunks[0][1]):
            remaining = sum(frame < len(one.codes) for one in active)
            if remaining < len(active):
                active, previous = active[:remaining], previous[:remaining]
                state.shorten(remaining)
            if all(one.error for one in active):
                break
            tables = self._model.frequencies(previous, state)[:, 0].cumsum(-1)
            for one, row in zip(active, tables, strict=True):
                one.next(frame, row)
            previous = np.stack([1 + one.codes[frame, :, None] for one in active])
        return [one.finish() for one in sequences]

    def bits(self, codes: Array) -> float:
        """See ``CodesCoder``."""
        total = 0.0
        for block, shares in self._predicted(codes):
            chosen = np.take_along_axis(shares, block.T[..., None], -1)
            total -= float(np.log2(chosen / TOTAL).sum())
        return total

    def _predicted(self, codes: Array) -> Iterator[tuple[Array, Array]]:
        """Blocks of codes ``[K, t]`` with the predicted frequencies ``[t, K, size]``."""
        previous = np.pad(codes[:, :-1] + 1, ((0, 0), (1, 0)))[None]
        state = self._model.start()
        for first in range(0, codes.shape[1], STEPS):
            shares = self._model.frequencies(previous[:, :, first : first + STEPS], state)
            yield codes[:, first : first + STEPS], shares[0]


class _Sequence:
    """One of the chunks that are decoded in parallel: its codes so far ``[T, K]``, and the error in its bytes."""

    def __init__(self, data: bytes, n_codebooks: int, frames: int) -> None:
        self.codes = np.zeros((frames, n_codebooks), dtype=np.int64)
        self.error: ValueError | None = None
        self._coder, self._size = ArithmeticDecoder(data), len(data)

    def next(self, frame: int, tables: Array) -> None:
        """Decode a frame's codes with cumulative frequencies ``[K, size]``; does nothing after an error."""
        if self.error is None:
            try:
                self.codes[frame] = [self._coder.decode(table) for table in tables]
            except ValueError as error:
                self.error = error

    def finish(self) -> Array | ValueError:
        """The codes ``[K, T]``, or the error in the bytes."""
        if self.error is None:
            try:
                if self._coder.finish() != self._size:
                    self.error = ValueError("bytes follow the end of the codes")
            except ValueError as error:
                self.error = error
        return self.codes.T if self.error is None else self.error
