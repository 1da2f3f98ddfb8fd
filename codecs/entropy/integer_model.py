"""The language model evaluated so that every machine gets the same whole numbers, however it adds them up.

Floating-point sums depend on their order, hence on the machine, on the number of threads, and on whether time steps
come one by one or together; a file coded by such probabilities may not decode elsewhere (EnCodec 3.3, "Entropy
Encoding"; Ballé et al. 2018). Here every sum, of a matrix product, a mean or a softmax, is one of whole numbers small
enough to be exact in the type that holds them. What is left is done element by element with ``+ - * /`` and the square
root, which IEEE 754 rounds in one way; ``exp``, ``erf``, ``cos`` and ``sin`` are rounded to coarse steps, and a
checksum of what comes out stands in each file. Weights are rounded to about 9 bits and activations to 11.
"""

import math
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from codeclab.codecs.entropy.coders import TOTAL
from codeclab.codecs.entropy.integer_cache import Attended, Cache, IntegerState
from codeclab.codecs.entropy.language_model import MAX_PERIOD, LanguageModel

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
"""Whole numbers in float32, for the sake of its matrix product."""

ACTIVATION = 1023
"""Largest magnitude of a rounded activation."""

EXACT = 1 << 24
"""Whole numbers up to this are exact in float32."""

FINE = 4096
"""Steps of a unit in embeddings and before norms."""

WIDE = 1 << 18
"""Largest magnitude, in steps, before a norm."""

HEAD = 511
"""Largest magnitude of rounded queries and keys."""

VALUE_STEPS = 128
"""Steps of a unit in the values of attention, which are cut at ``ACTIVATION`` steps."""

SHARES = 8191
"""What the rounded weights of attention sum to, up to rounding."""

EXP_STEPS = 256
"""Steps of a unit in the exponents."""

EXP_ONE = 1 << 24
EXP: Floats = np.array(
    [round(EXP_ONE * math.exp(-k / EXP_STEPS)) for k in range(17 * EXP_STEPS)] + [0], dtype=np.float64
)
"""``exp(-k / EXP_STEPS)`` in steps of ``1 / EXP_ONE``, at the end nothing."""

GELU_STEPS = 1024
GELU_END = 8
GELU: Floats = np.array(
    [
        round(65536 * x * 0.5 * (1 + math.erf(x / math.sqrt(2)))) / 65536
        for x in (k / GELU_STEPS for k in range(-GELU_END * GELU_STEPS, GELU_END * GELU_STEPS + 1))
    ]
)
"""``x Phi(x)`` for ``x`` from -8 to 8."""

NOTHING = 1e-300
"""What a row of zeros is taken to reach, so that it can be divided by."""

BLOCK = 128
"""Time steps that attend together."""


class IntegerLinear:
    """A linear layer whose matrix product is exact.

    Args:
        weight: ``[out, in]``.
        bias: ``[out]``.
    """

    def __init__(self, weight: Floats, bias: Floats) -> None:
        # The largest power of two by which a row's rounded weights cannot add up to more than is exact.
        exponent = np.full(len(weight), 24)
        while True:
            rounded = np.rint(np.ldexp(weight, exponent[:, None])).astype(np.int64)
            large = np.abs(rounded).sum(1) * ACTIVATION >= EXACT
            if not large.any():
                break
            exponent = exponent - large
        self.weight: Singles = np.ascontiguousarray(rounded.T.astype(np.float32))
        self.scale: Floats = np.ldexp(1.0, -exponent) / ACTIVATION
        self.bias = bias

    def __call__(self, x: Floats) -> Floats:
        """``[..., in]`` to ``[..., out]``."""
        flat, largest = _rounded(x.reshape(-1, x.shape[-1]), ACTIVATION)
        product: Floats = (flat @ self.weight).astype(np.float64)
        product *= largest * self.scale
        product += self.bias
        return product.reshape(*x.shape[:-1], -1)


class IntegerNorm:
    """A layer norm whose mean and variance are exact.

    Args:
        weight: ``[D]``.
        bias: ``[D]``.
        epsilon: added to the variance.
    """

    def __init__(self, weight: Floats, bias: Floats, epsilon: float) -> None:
        self.weight, self.bias = weight, bias
        self.epsilon = epsilon * float(len(weight) * FINE) ** 2

    def __call__(self, x: Floats) -> Floats:
        """``[..., D]`` to the same shape."""
        steps = _steps(x * FINE, WIDE).astype(np.int64)
        size = x.shape[-1]
        centred = size * steps - _sum(steps)
        deviation = _sum(centred * centred) / size
        deviation += self.epsilon
        normed: Floats = centred / np.sqrt(deviation, out=deviation)
        normed *= self.weight
        normed += self.bias
        return normed


@dataclass
class _Layer:
    """One attention layer's parts."""

    project: IntegerLinear
    gather: IntegerLinear
    attention_norm: IntegerNorm
    expand: IntegerLinear
    contract: IntegerLinear
    feedforward_norm: IntegerNorm
    heads: int
    context: int
    start: Attended = field(init=False)

    def __post_init__(self) -> None:
        # As in the released code, the step before the first is one of zeros, attended to like any other.
        self.start = self._split(np.zeros((1, 1, self.gather.weight.shape[1])))[1]

    def __call__(self, x: Floats, cache: Cache) -> Floats:
        """``[B, n, D]`` to the same shape; ``cache`` holds what came before it, and then what the next attend to."""
        (queries, scales), following = self._split(x)
        attended = cache.extend(following)
        steps, total = x.shape[1], attended[0].shape[2]
        past = total - steps
        gathered = np.empty_like(x)
        for first in range(0, steps, BLOCK):
            last = min(first + BLOCK, steps)
            low, high = max(past + first - self.context, 0), past + last
            seen = None
            if last - first > 1:  # a single step sees all that is kept
                age = np.arange(past + first, high)[:, None] - np.arange(low, high)
                seen = (age >= 0) & (age <= self.context)
            window = tuple(part[:, :, low:high] for part in attended)
            gathered[:, first:last] = _attend(queries[:, :, first:last], scales[:, :, first:last], window, seen)
        x = self.attention_norm(x + self.gather(gathered))
        return self.feedforward_norm(x + self.contract(gelu(self.expand(x))))

    def _split(self, x: Floats) -> tuple[tuple[Singles, Floats], Attended]:
        """Queries and their scales ``[B, 1, n, 1]``, and what may be attended to, of time steps ``[B, n, D]``."""
        size = x.shape[-1]
        projected = self.project(x)
        asking, scales = _rounded(projected[..., : 2 * size].reshape(*x.shape[:2], 2, size), HEAD)
        queries, keys = asking.reshape(*x.shape[:2], 2, self.heads, -1).transpose(2, 0, 3, 1, 4)
        query_scales, key_scales = scales.transpose(2, 0, 3, 1)[..., None]
        values = _steps(projected[..., 2 * size :] * VALUE_STEPS, ACTIVATION).astype(np.float32)
        values = values.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2)
        per_head = math.sqrt(size // self.heads) * HEAD * HEAD
        return (queries, query_scales / per_head), (keys, key_scales, values)


class IntegerLanguageModel:
    """The frequencies of the codes of each time step, given those before, the same on every machine.

    Args:
        model: the trained language model, in floating point.
    """

    def __init__(self, model: LanguageModel) -> None:
        tensors = {name: tensor.detach().double().cpu().numpy() for name, tensor in model.state_dict().items()}
        self.n_codebooks, self.codebook_size = model.n_codebooks, model.codebook_size
        self.dimension = model.dimension
        tables = [tensors[f"embeddings.{k}.weight"] for k in range(model.n_codebooks)]
        self._embeddings = np.rint(np.stack(tables) * FINE).astype(np.int64)
        self._input_norm = _norm(tensors, "input_norm", model.input_norm.eps)
        self._layers = [
            _layer(tensors, f"layers.{index}.", model.n_heads, model.context) for index in range(len(model.layers))
        ]
        self._outputs = [
            IntegerLinear(tensors[f"outputs.{k}.weight"], tensors[f"outputs.{k}.bias"])
            for k in range(model.n_codebooks)
        ]
        self._joined: dict[int, IntegerLinear] = {}
        self.fingerprint = self._probe()

    def start(self, sequences: int = 1) -> IntegerState:
        """The state before the first time step of sequences that are coded side by side."""
        return IntegerState([Cache(layer.start, layer.context, sequences) for layer in self._layers])

    def frequencies(self, previous: NDArray[np.int64], state: IntegerState) -> NDArray[np.int64]:
        """How frequent each entry is expected to be, in whole numbers that sum to ``TOTAL``.

        Args:
            previous: 1 + the codes of the step before each, 0 before the first, ``[B, K, T]``.
            state: after the steps before these; becomes that after them.

        Returns:
            ``int64 [B, T, K, size]``.
        """
        sequences, count, steps = previous.shape
        embedded = self._embeddings[np.arange(count)[:, None], previous].sum(1) / FINE
        x = self._input_norm(embedded) + self._positions(state.position, steps)
        for layer, cache in zip(self._layers, state.caches, strict=True):
            x = layer(x, cache)
        state.position += steps
        logits = self._output(count)(x).reshape(sequences, steps, count, self.codebook_size)
        weights = exponentials(logits)
        weights *= (TOTAL - self.codebook_size) / _sum(weights)
        shares = weights.astype(np.int64)  # cuts what follows the point
        shares += 1
        best = shares.argmax(-1)[..., None]
        left = TOTAL - _sum(shares)
        np.put_along_axis(shares, best, np.take_along_axis(shares, best, -1) + left, -1)
        return shares

    def _positions(self, first: int, steps: int) -> Floats:
        """Embedding of ``steps`` time steps from ``first`` on, ``[T, D]``: cosines, then sines."""
        half = self.dimension // 2
        phases = np.arange(first, first + steps)[:, None] / MAX_PERIOD ** (np.arange(half) / (half - 1))
        return np.rint(np.concatenate([np.cos(phases), np.sin(phases)], axis=-1) * FINE) / FINE

    def _output(self, count: int) -> IntegerLinear:
        """The outputs of the first codebooks as one layer."""
        if count not in self._joined:
            joined = object.__new__(IntegerLinear)
            outputs = self._outputs[:count]
            joined.weight = np.ascontiguousarray(np.concatenate([output.weight for output in outputs], axis=1))
            joined.scale = np.concatenate([output.scale for output in outputs])
            joined.bias = np.concatenate([output.bias for output in outputs])
            self._joined = {count: joined}
        return self._joined[count]

    def _probe(self) -> int:
        """A checksum of what this machine makes of some codes: of the weights, the tables and the arithmetic."""
        steps = 12
        draw = np.arange(self.n_codebooks * steps).reshape(self.n_codebooks, steps) * 7919 % (self.codebook_size + 1)
        shares = self.frequencies(draw[None], self.start())
        return crc32(shares.astype("<i8").tobytes(), crc32(GELU.tobytes() + EXP.tobytes()))


def _attend(queries: Singles, scales: Floats, window: Attended, seen: NDArray[np.bool_] | None) -> Floats:
    """What ``n`` steps gather from ``T``, ``[B, n, D]``: each from those it has ``seen [n, T]``; None: from all."""
    keys, key_scales, values = window
    scores: Floats = (queries @ keys.swapaxes(2, 3)).astype(np.float64)
    scores *= scales * key_scales.swapaxes(2, 3)
    if seen is not None:
        scores = np.where(seen, scores, -np.inf)
    weights = exponentials(scores)
    weights *= SHARES / _sum(weights)
    shares = np.rint(weights, out=weights).astype(np.float32)
    gathered = (shares @ values).astype(np.float64)
    gathered /= SHARES * VALUE_STEPS
    return gathered.swapaxes(1, 2).reshape(gathered.shape[0], gathered.shape[2], -1)


def exponentials(x: Floats) -> Floats:
    """``exp(x - max(x))`` over the last axis, in whole steps of ``1 / EXP_ONE``."""
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


# A time step is some hundred small arrays, so that calls cost more than arithmetic: no temporary array without need,
# and NumPy's universal functions rather than its methods, which are Python.


def _sum(x: NDArray[Any]) -> NDArray[Any]:
    """Over the last axis, which stays."""
    return np.add.reduce(x, axis=-1, keepdims=True)


def _steps(x: Floats, most: float) -> Floats:
    """Whole numbers, of a largest magnitude; ``x`` is overwritten."""
    np.maximum(x, -most, out=x)
    np.minimum(x, most, out=x)
    return np.rint(x, out=x)


def _rounded(x: Floats, most: int) -> tuple[Singles, Floats]:
    """Rows ``[..., D]`` as whole numbers up to ``most``, and what ``most`` stands for in each, ``[..., 1]``."""
    largest = np.maximum.reduce(np.abs(x), axis=-1, keepdims=True)
    np.maximum(largest, NOTHING, out=largest)
    scaled = x * (most / largest)
    return np.rint(scaled, out=scaled).astype(np.float32), largest


def _norm(tensors: dict[str, Floats], name: str, epsilon: float) -> IntegerNorm:
    return IntegerNorm(tensors[f"{name}.weight"], tensors[f"{name}.bias"], epsilon)


def _layer(tensors: dict[str, Floats], prefix: str, heads: int, context: int) -> _Layer:
    def linear(name: str) -> IntegerLinear:
        return IntegerLinear(tensors[f"{prefix}{name}weight"], tensors[f"{prefix}{name}bias"])

    return _Layer(
        linear("attention.in_proj_"),
        linear("attention.out_proj."),
        _norm(tensors, f"{prefix}attention_norm", 1e-5),
        linear("expand."),
        linear("contract."),
        _norm(tensors, f"{prefix}feedforward_norm", 1e-5),
        heads,
        context,
    )
