"""Gradient estimators for quantization: straight-through, and the rotation trick."""

from typing import Any, Literal, cast

import torch
from torch import Tensor

PassThrough = Literal["straight_through", "rotation"]
CHOICES = ("straight_through", "rotation")
SMALLEST = 1e-8


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(vectors: Tensor, values: Tensor) -> Tensor:
    """``values``, whose gradient goes to ``vectors`` of the same shape, and not to ``values``."""
    return cast(Tensor, _StraightThrough.apply(vectors, values))


def rotated(vectors: Tensor, values: Tensor, dim: int) -> Tensor:
    """``values`` as rotated and scaled ``vectors``: the rotation trick (Fifty et al. 2024, Section 4.2).

    With ``e`` a vector, ``q`` its value, ``e^`` and ``q^`` their directions and ``r`` that of ``e^ + q^``, all three
    and the ratio of lengths held constant for the gradient::

        q = |q| / |e| (e - 2 r r^T e + 2 q^ e^T e)

    Where a vector or its value is (almost) zero, the gradient is straight-through.

    Args:
        vectors: vectors before quantization.
        values: quantized vectors, of the same shape.
        dim: dimension along which a vector lies.
    """
    with torch.no_grad():
        before, after = vectors.norm(dim=dim, keepdim=True), values.norm(dim=dim, keepdim=True)
        turns = (before > SMALLEST) & (after > SMALLEST)
        start, end = vectors / before.clamp(min=SMALLEST), values / after.clamp(min=SMALLEST)
        middle = torch.nn.functional.normalize(start + end, dim=dim)
        ratio = after / before.clamp(min=SMALLEST)
    along_middle = (vectors * middle).sum(dim, keepdim=True)
    along_start = (vectors * start).sum(dim, keepdim=True)
    turned = ratio * (vectors - 2 * middle * along_middle + 2 * end * along_start)
    return straight_through(torch.where(turns, turned, vectors), values)


def pass_through(vectors: Tensor, values: Tensor, how: PassThrough, dim: int) -> Tensor:
    """``values`` with a gradient for ``vectors`` by one of the two estimators; vectors lie along ``dim``."""
    return rotated(vectors, values, dim) if how == "rotation" else straight_through(vectors, values)


def check_pass_through(how: str) -> None:
    """Refuse an unknown gradient estimator.

    Raises:
        ValueError: ``how`` is neither ``straight_through`` nor ``rotation``.
    """
    if how not in CHOICES:
        raise ValueError(f'gradient is "{how}"; it should be "straight_through" or "rotation"')
