"""The language model in integer arithmetic, so that every machine computes the same probabilities.

Floating-point sums depend on their order, hence on the machine, on the number of threads, and on whether time steps
are computed one by one or together. A file coded with such probabilities may not decode elsewhere (EnCodec 3.3,
"Entropy Encoding"; Ballé et al. 2018). Here every sum, of a matrix product, a mean or a softmax, is a sum of integers
that are small enough to be exact in the type that holds them. All other operations are elementwise ``+ - * /`` and
square roots, for which IEEE 754 defines the rounding. ``exp``, ``erf``, ``cos`` and ``sin`` are not defined by it;
their results are rounded to coarse steps, on which all libraries agree. Each file holds a checksum of the model's
output (``IntegerLanguageModel.fingerprint``). Weights are rounded to about 9 bits and activations to 11.
"""

import math
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from codeclab.codecs.entropy.coders import TOTAL
from codeclab.codecs.entropy.integer_cache import Attended, Cache, IntegerState
from codeclab.codecs.entropy.language_model import MAX_PERIOD, LanguageModel

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
"""Integers stored in float32, whose matrix product is fast."""

ACTIVATION = 1023
"""Largest magnitude of a rounded activation (11 bits with the sign)."""

EXACT = 1 << 24
"""Integers up to this are exact in float32, and so are their sums as long as no partial sum exceeds it."""

FINE = 4096
"""Steps per unit in embeddings and before norms."""

WIDE = 1 << 18
"""Largest magnitude before a norm, in steps; larger values are clipped."""

HEAD = 511
"""Largest magnitude of rounded queries and keys (10 bits with the sign)."""

VALUE_STEPS = 128
"""Steps per unit in the values of attention, which are clipped at ``ACTIVATION`` steps."""

SHARES = 8191
"""Sum of the rounded attention weights, up to rounding."""

EXP_STEPS = 256
"""Steps per unit in the argument of ``exp``."""

EXP_ONE = 1 << 24
EXP: Floats = np.array(
    [round(EXP_ONE * math.exp(-k / EXP_STEPS)) for k in range(17 * EXP_STEPS)] + [0], dtype=np.float64
)
"""Table of ``exp(-k / EXP_STEPS)`` in integer steps of ``1 / EXP_ONE``; its last entry is 0, for all larger ``k``."""

GELU_STEPS = 1024
GELU_END = 8
GELU: Floats = np.array(
    [
        round(65536 * x * 0.5 * (1 + math.erf(x / math.sqrt(2)))) / 65536
        for x in (k / GELU_STEPS for k in range(-GELU_END * GELU_STEPS, GELU_END * GELU_STEPS + 1))
    ]
)
"""Table of ``x Phi(x)`` for ``x`` from -8 to 8, in ``GELU_STEPS`` steps per unit, rounded to multiples of 2^-16."""

SMALLEST = 1e-300
"""Lower limit of a row's largest magnitude, so that a row of zeros can be divided by it."""

BLOCK = 128
"""Time steps whose attention is computed together, which bounds memory."""


class IntegerLinear:
    """A linear layer whose matrix product is exact, hence independent of the order of summation.

    Row ``i`` of the weight is ``rounded_i * 2^-exponent_i`` with integers ``rounded_i``. An input row is scaled to
    integers up to ``ACTIVATION``. Their product is an integer below ``EXACT``, which float32 holds exactly. It is then
    multiplied by both scales in float64.

    Args:
        layers: weight ``[out, in]`` and bias ``[out]`` of a layer, or of several, whose outputs are joined.
    """

    def __init__(self, *layers: tuple[Floats, Floats]) -> None:
        rounded = [_rounded_weight(weight) for weight, _ in layers]
        self.weight: Singles = np.ascontiguousarray(np.concatenate([weight for weight, _ in rounded]).T)
        self.scale: Floats = np.concatenate([scale for _, scale in rounded])
        self.bias = np.concatenate([bias for _, bias in layers])

    def __call__(self, x: Floats, outputs: int | None = None) -> Floats:
        """``[..., in]`` to ``[..., out]``, or to the first ``outputs`` of these."""
        flat, largest = _rounded(x.reshape(-1, x.shape[-1]), ACTIVATION)
        product: Floats = (flat @ self.weight[:, :outputs]).astype(np.float64)
        product *= largest * self.scale[:outputs]
        product += self.bias[:outputs]
        return product.reshape(*x.shape[:-1], -1)


def _rounded_weight(weight: Floats) -> tuple[Singles, Floats]:
    """A weight ``[out, in]`` in integers, and the scale of each row's products."""
    # Find each row's largest exponent for which sum_j |rounded_ij| * ACTIVATION, the largest possible product, is
    # still exact. Start from 24 bits and take one bit off the rows that are too large.
    exponent = np.full(len(weight), 24)
    while True:
        rounded = np.rint(np.ldexp(weight, exponent[:, None])).astype(np.int64)
        large = np.abs(rounded).sum(1) * ACTIVATION >= EXACT
        if not large.any():
            return rounded.astype(np.float32), np.ldexp(1.0, -exponent) / ACTIVATION
        exponent = exponent - large


class IntegerNorm:
    """A layer norm, of gain and bias ``[D]``, whose mean and variance are exact."""

    def __init__(self, weight: Floats, bias: Floats) -> None:
        self.weight, self.bias = weight, bias
        self.epsilon = 1e-5 * float(len(weight) * FINE) ** 2  # that of ``nn.LayerNorm``

    def __call__(self, x: Floats) -> Floats:
        """``[..., D]`` to the same shape."""
        # ``size * (steps - mean)`` is an integer, whereas the mean is not. ``epsilon`` is scaled by ``(size *
        # FINE)^2``.
        steps = _steps(x * FINE, WIDE).astype(np.int64)
        size = x.shape[-1]
        centred = size * steps - _sum(steps)
        deviation = _sum(centred * centred) / size
        deviation += self.epsilon
        normed: Floats = centred / np.sqrt(deviation, out=deviation)
        normed *= self.weight
        normed += self.bias
        return normed


class _Layer:
    """One attention layer."""

    def __init__(self, tensors: dict[str, Floats], prefix: str, heads: int, context: int) -> None:
        self.project = IntegerLinear(_affine(tensors, f"{prefix}attention.in_proj_"))
        self.gather = IntegerLinear(_affine(tensors, f"{prefix}attention.out_proj."))
        self.attention_norm = IntegerNorm(*_affine(tensors, f"{prefix}attention_norm."))
        self.expand = IntegerLinear(_affine(tensors, f"{prefix}expand."))
        self.contract = IntegerLinear(_affine(tensors, f"{prefix}contract."))
        self.feedforward_norm = IntegerNorm(*_affine(tensors, f"{prefix}feedforward_norm."))
        self.heads, self.context = heads, context
        # As in the released code, the first step attends to one step of zeros before it.
        self.start = self._split(np.zeros((1, 1, self.gather.weight.shape[1])))[1]

    def __call__(self, x: Floats, cache: Cache) -> Floats:
        """``[B, n, D]`` to the same shape; ``cache`` holds keys and values of the steps before and is extended."""
        (queries, scales), new = self._split(x)
        attended = cache.extend(new)
        steps, total = x.shape[1], attended[0].shape[2]
        past = total - steps
        # Steps attend in blocks. A block attends to the window of ``context`` steps before its first step and to
        # itself; within the window, ``visible`` masks later steps and those beyond the context.
        gathered = np.empty_like(x)
        for first in range(0, steps, BLOCK):
            last = min(first + BLOCK, steps)
            low, high = max(past + first - self.context, 0), past + last
            visible = None
            if last - first > 1:  # a single step attends to the whole window
                age = np.arange(past + first, high)[:, None] - np.arange(low, high)
                visible = (age >= 0) & (age <= self.context)
            window = tuple(part[:, :, low:high] for part in attended)
            gathered[:, first:last] = _attend(queries[:, :, first:last], scales[:, :, first:last], window, visible)
        x = self.attention_norm(x + self.gather(gathered))
        return self.feedforward_norm(x + self.contract(gelu(self.expand(x))))

    def _split(self, x: Floats) -> tuple[tuple[Singles, Floats], Attended]:
        """Queries with their scales ``[B, 1, n, 1]``, and keys, key scales and values, of time steps ``[B, n, D]``."""
        size = x.shape[-1]
        projected = self.project(x)
        rounded, scales = _rounded(projected[..., : 2 * size].reshape(*x.shape[:2], 2, size), HEAD)
        queries, keys = rounded.reshape(*x.shape[:2], 2, self.heads, -1).transpose(2, 0, 3, 1, 4)
        query_scales, key_scales = scales.transpose(2, 0, 3, 1)[..., None]
        values = _steps(projected[..., 2 * size :] * VALUE_STEPS, ACTIVATION).astype(np.float32)
        values = values.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2)
        per_head = math.sqrt(size // self.heads) * HEAD * HEAD
        return (queries, query_scales / per_head), (keys, key_scales, values)


class IntegerLanguageModel:
    """The integer frequencies of the codes of each time step, given those before; the same on every machine.

    Args:
        model: trained language model, in floating point.
    """

    def __init__(self, model: LanguageModel) -> None:
        tensors = {name: tensor.detach().double().cpu().numpy() for name, tensor in model.state_dict().items()}
        self.n_codebooks, self.codebook_size = model.n_codebooks, model.codebook_size
        self.dimension = model.dimension
        tables = [tensors[f"embeddings.{k}.weight"] for k in range(model.n_codebooks)]
        self._embeddings = np.rint(np.stack(tables) * FINE).astype(np.int64)
        self._input_norm = IntegerNorm(*_affine(tensors, "input_norm."))
        self._layers = [
            _Layer(tensors, f"layers.{index}.", model.n_heads, model.context) for index in range(len(model.layers))
        ]
        self._outputs = IntegerLinear(*(_affine(tensors, f"outputs.{k}.") for k in range(model.n_codebooks)))
        self.fingerprint = self._probe()

    def start(self, sequences: int = 1) -> IntegerState:
        """The state before the first time step of sequences that are coded in parallel."""
        return IntegerState([Cache(layer.start, layer.context, sequences) for layer in self._layers])

    def frequencies(self, previous: NDArray[np.int64], state: IntegerState) -> NDArray[np.int64]:
        """The predicted frequency of each entry, in integers of at least 1 that sum to ``TOTAL``.

        Args:
            previous: input ``[B, K, T]``, 1 + the codes of the step before each step, and 0 before the first.
            state: state after the steps before these; it is advanced to the state after them.

        Returns:
            ``int64 [B, T, K, size]``.
        """
        sequences, count, steps = previous.shape
        embedded = self._embeddings[np.arange(count)[:, None], previous].sum(1) / FINE
        x = self._input_norm(embedded) + self._positions(state.position, steps)
        for layer, cache in zip(self._layers, state.caches, strict=True):
            x = layer(x, cache)
        state.position += steps
        logits = self._outputs(x, count * self.codebook_size).reshape(sequences, steps, count, self.codebook_size)
        weights = exponentials(logits)
        # As in ``coders.frequencies``: every entry gets 1 and the integer part of its share of the rest, so that none
        # is impossible to code; the most frequent entry gets what rounding down leaves of ``TOTAL``.
        weights *= (TOTAL - self.codebook_size) / _sum(weights)
        shares = weights.astype(np.int64)
        shares += 1
        best = shares.argmax(-1)[..., None]
        remainder = TOTAL - _sum(shares)
        np.put_along_axis(shares, best, np.take_along_axis(shares, best, -1) + remainder, -1)
        return shares

    def _positions(self, first: int, steps: int) -> Floats:
        """Embedding of ``steps`` time steps from ``first`` on, ``[T, D]``: cosines, then sines."""
        half = self.dimension // 2
        phases = np.arange(first, first + steps)[:, None] / MAX_PERIOD ** (np.arange(half) / (half - 1))
        return np.rint(np.concatenate([np.cos(phases), np.sin(phases)], axis=-1) * FINE) / FINE

    def _probe(self) -> int:
        """A checksum of this machine's frequencies for some fixed codes: of weights, tables and arithmetic."""
        steps = 12
        codes = np.arange(self.n_codebooks * steps).reshape(self.n_codebooks, steps) * 7919 % (self.codebook_size + 1)
        shares = self.frequencies(codes[None], self.start())
        return crc32(shares.astype("<i8").tobytes(), crc32(GELU.tobytes() + EXP.tobytes()))


def _attend(queries: Singles, scales: Floats, window: Attended, visible: NDArray[np.bool_] | None) -> Floats:
    """The attention of ``n`` steps to the ``visible [n, T]`` ones of ``T``, ``[B, n, D]``; None means all."""
    keys, key_scales, values = window
    scores: Floats = (queries @ keys.swapaxes(2, 3)).astype(np.float64)
    scores *= scales * key_scales.swapaxes(2, 3)
    if visible is not None:
        scores = np.where(visible, scores, -np.inf)
    weights = exponentials(scores)
    weights *= SHARES / _sum(weights)
    shares = np.rint(weights, out=weights).astype(np.float32)
    gathered = (shares @ values).astype(np.float64)
    gathered /= SHARES * VALUE_STEPS
    return gathered.swapaxes(1, 2).reshape(gathered.shape[0], gathered.shape[2], -1)


def exponentials(x: Floats) -> Floats:
    """``exp(x - max(x))`` over the last axis, in integer steps of ``1 / EXP_ONE``."""
    below = np.maximum.reduce(x, axis=-1, keepdims=True) - x
    below *= EXP_STEPS
    below += 0.5
    np.minimum(below, len(EXP) - 1, out=below)
    return EXP[below.astype(np.int64)]


def gelu(x: Floats) -> Floats:
    """The Gaussian error linear unit, by table."""
    steps = _steps(x * GELU_STEPS, GELU_END * GELU_STEPS)
    steps += GELU_END * GELU_STEPS
    return np.where(x > GELU_END, x, GELU[steps.astype(np.int64)])


# A time step computes about a hundred small arrays, so that calls cost more than arithmetic. The functions below work
# in place where they can, and call NumPy's universal functions rather than its methods, which are written in Python.


def _sum(x: NDArray[Any]) -> NDArray[Any]:
    """The sum over the last axis, which is kept with size 1."""
    return np.add.reduce(x, axis=-1, keepdims=True)


def _steps(x: Floats, most: float) -> Floats:
    """Nearest integers, clipped to magnitude ``most``; ``x`` is overwritten."""
    np.maximum(x, -most, out=x)
    np.minimum(x, most, out=x)
    return np.rint(x, out=x)


def _rounded(x: Floats, most: int) -> tuple[Singles, Floats]:
    """Rows ``[..., D]`` scaled to integers up to ``most``, and each row's largest magnitude ``[..., 1]``."""
    largest = np.maximum.reduce(np.abs(x), axis=-1, keepdims=True)
    np.maximum(largest, SMALLEST, out=largest)
    scaled = x * (most / largest)
    return np.rint(scaled, out=scaled).astype(np.float32), largest


def _affine(tensors: dict[str, Floats], prefix: str) -> tuple[Floats, Floats]:
    """A layer's weight and bias."""
    return tensors[f"{prefix}weight"], tensors[f"{prefix}bias"]
