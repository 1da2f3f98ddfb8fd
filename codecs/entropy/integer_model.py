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
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from codeclab.codecs.entropy.coders import TOTAL
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
        """``[n, in]`` to ``[n, out]``."""
        rounded, largest = _rounded(x, ACTIVATION)
        return (rounded @ self.weight).astype(np.float64) * (largest * self.scale) + self.bias


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
        """``[n, D]`` to the same shape."""
        steps = np.rint(_cut(x * FINE, WIDE)).astype(np.int64)
        size = x.shape[-1]
        centred = size * steps - steps.sum(-1, keepdims=True)
        variance = (centred * centred).sum(-1, keepdims=True).astype(np.float64) / size
        return centred / np.sqrt(variance + self.epsilon) * self.weight + self.bias


@dataclass
class Cache:
    """Keys and values of the time steps that the next may attend to, a layer.

    Attributes:
        keys: ``[H, T, D / H]``.
        scales: of the keys, ``[T]``.
        values: ``[H, T, D / H]``.
    """

    keys: Singles
    scales: Floats
    values: Singles


@dataclass
class IntegerState:
    """What is kept between time steps.

    Attributes:
        caches: of each layer.
        position: time step of the next code.
    """

    caches: list[Cache]
    position: int = 0


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
    start: Cache = field(init=False)

    def __post_init__(self) -> None:
        # As in the released code, the step before the first is one of zeros, attended to like any other.
        _, keys, scales, values = self._split(np.zeros((1, self.gather.weight.shape[1])))
        self.start = Cache(keys, scales, values)

    def __call__(self, x: Floats, cache: Cache) -> tuple[Floats, Cache]:
        """``[n, D]`` and what came before it, to the same shape and what the next may attend to."""
        queries, keys, scales, values = self._split(x)
        past = cache.keys.shape[1]
        keys = np.concatenate([cache.keys, keys], axis=1)
        scales = np.concatenate([cache.scales, scales])
        values = np.concatenate([cache.values, values], axis=1)
        steps = len(x)
        attended = np.empty_like(x)
        for first in range(0, steps, BLOCK):
            last = min(first + BLOCK, steps)
            low, high = max(past + first - self.context, 0), past + last
            seen = None
            if last - first > 1:  # a single step sees all that is kept
                age = np.arange(past + first, high)[:, None] - np.arange(low, high)
                seen = (age >= 0) & (age <= self.context)
            window = (keys[:, low:high], scales[low:high], values[:, low:high])
            attended[first:last] = self._attend(queries[0][:, first:last], queries[1][first:last], *window, seen)
        x = self.attention_norm(x + self.gather(attended))
        x = self.feedforward_norm(x + self.contract(gelu(self.expand(x))))
        kept = slice(max(keys.shape[1] - self.context, 0), None)
        return x, Cache(keys[:, kept], scales[kept], values[:, kept])

    def _split(self, x: Floats) -> tuple[tuple[Singles, Floats], Singles, Floats, Singles]:
        """Queries and their scales, keys, their scales, and values of time steps ``[n, D]``."""
        size = x.shape[1]
        projected = self.project(x)
        query, key, value = projected[:, :size], projected[:, size : 2 * size], projected[:, 2 * size :]
        queries, query_scales = _rounded(query, HEAD)
        keys, key_scales = _rounded(key, HEAD)
        values = np.rint(_cut(value * VALUE_STEPS, ACTIVATION)).astype(np.float32)
        per_head = math.sqrt(query.shape[-1] // self.heads) * HEAD * HEAD
        scaled = (self._by_head(queries), query_scales[:, 0] / per_head)
        return scaled, self._by_head(keys), key_scales[:, 0], self._by_head(values)

    def _by_head(self, x: Singles) -> Singles:
        """``[n, D]`` to ``[H, n, D / H]``."""
        return np.ascontiguousarray(x.reshape(len(x), self.heads, -1).transpose(1, 0, 2))

    def _attend(
        self,
        queries: Singles,
        scale: Floats,
        keys: Singles,
        key_scales: Floats,
        values: Singles,
        seen: NDArray[np.bool_] | None,
    ) -> Floats:
        """What ``n`` steps gather from ``T``, ``[n, D]``: each from those it has ``seen [n, T]``; None: from all."""
        scores = (queries @ keys.transpose(0, 2, 1)).astype(np.float64) * (scale[:, None] * key_scales)
        if seen is not None:
            scores = np.where(seen, scores, -np.inf)
        weights = exponentials(scores)
        shares = np.rint(weights * (SHARES / weights.sum(-1, keepdims=True))).astype(np.float32)
        gathered = (shares @ values).astype(np.float64) / (SHARES * VALUE_STEPS)
        return gathered.transpose(1, 0, 2).reshape(queries.shape[1], -1)


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

    def start(self) -> IntegerState:
        """The state before the first time step."""
        return IntegerState([layer.start for layer in self._layers])

    def frequencies(self, previous: NDArray[np.int64], state: IntegerState) -> tuple[NDArray[np.int64], IntegerState]:
        """How frequent each entry is expected to be, in whole numbers that sum to ``TOTAL``.

        Args:
            previous: 1 + the codes of the step before each, 0 before the first, ``[K, T]``.
            state: after the steps before these.

        Returns:
            ``int64 [T, K, size]``, and the state after these steps.
        """
        count, steps = previous.shape
        embedded = self._embeddings[np.arange(count)[:, None], previous].sum(0) / FINE
        x = self._input_norm(embedded) + self._positions(state.position, steps)
        caches = []
        for layer, cache in zip(self._layers, state.caches, strict=True):
            x, following = layer(x, cache)
            caches.append(following)
        logits = self._output(count)(x).reshape(steps, count, self.codebook_size)
        weights = exponentials(logits)
        spread = (TOTAL - self.codebook_size) / weights.sum(-1, keepdims=True)
        shares = 1 + np.floor(weights * spread).astype(np.int64)
        best = shares.argmax(-1)[..., None]
        left = TOTAL - shares.sum(-1, keepdims=True)
        np.put_along_axis(shares, best, np.take_along_axis(shares, best, -1) + left, -1)
        return shares, IntegerState(caches, state.position + steps)

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
        shares, _ = self.frequencies(draw, self.start())
        return crc32(shares.astype("<i8").tobytes(), crc32(GELU.tobytes() + EXP.tobytes()))


def exponentials(x: Floats) -> Floats:
    """``exp(x - max(x))`` over the last axis, in whole steps of ``1 / EXP_ONE``."""
    below = (x.max(-1, keepdims=True) - x) * EXP_STEPS
    return EXP[np.minimum(below + 0.5, len(EXP) - 1).astype(np.int64)]


def gelu(x: Floats) -> Floats:
    """The Gaussian error linear unit, by table."""
    inside = GELU[np.rint(_cut(x, GELU_END) * GELU_STEPS).astype(np.int64) + GELU_END * GELU_STEPS]
    return np.where(x > GELU_END, x, inside)


def _cut(x: Floats, most: float) -> Floats:
    """Values cut to a largest magnitude; in a third of ``np.clip``'s time on a single step."""
    return np.minimum(np.maximum(x, -most), most)


def _rounded(x: Floats, most: int) -> tuple[Singles, Floats]:
    """Rows ``[n, D]`` as whole numbers up to ``most``, and what ``most`` stands for in each, ``[n, 1]``."""
    largest = np.abs(x).max(-1, keepdims=True)
    if not largest.all():
        largest = np.where(largest > 0, largest, 1.0)
    return np.rint(x * (most / largest)).astype(np.float32), largest


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
