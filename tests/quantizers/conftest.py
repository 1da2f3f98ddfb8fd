from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def assert_gradient_is_the_slope() -> Callable[[Callable[[], Tensor], Tensor, float], None]:
    """Checks the gradient of ``objective()`` by ``varied`` against its finite difference along that gradient."""

    def check(objective: Callable[[], Tensor], varied: Tensor, step: float) -> None:
        (gradient,) = torch.autograd.grad(objective(), varied)
        direction = gradient / gradient.norm()
        with torch.no_grad():
            varied.add_(step * direction)
            above = objective()
            varied.sub_(2 * step * direction)
            below = objective()
        assert float(above - below) / (2 * step) == pytest.approx(float(gradient.norm()), rel=0.02)

    return check
