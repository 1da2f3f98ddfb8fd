"""A clear answer to NumPy arrays and text where parts take tensors."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor


class NotATensorError(TypeError, ValueError):
    """Something else was given where a tensor belongs; the message says what, and the shape that is right."""


def require_tensor(value: object, name: str, shape: str) -> None:
    """Refuse what is no tensor.

    Args:
        value: what was given.
        name: of the argument.
        shape: that it should have, in words, such as ``[B, C, N]``.

    Raises:
        NotATensorError: it is none.
    """
    if not isinstance(value, Tensor):
        raise NotATensorError(
            f"{name} is a {type(value).__name__}; it should be a tensor {shape}, as torch.from_numpy(array) makes"
        )


def takes_tensors(cls: type, **methods: tuple[str, ...]) -> None:
    """Have the methods that a class itself defines refuse what is no tensor; for the base's ``__init_subclass__``.

    Args:
        cls: the subclass.
        methods: by name, the shape of each of the first arguments, which are tensors.
    """
    for name, shapes in methods.items():
        if name in vars(cls):
            setattr(cls, name, _checked(vars(cls)[name], shapes))


def _checked(method: Callable[..., Any], shapes: tuple[str, ...]) -> Callable[..., Any]:
    names = [name for name in inspect.signature(method).parameters if name != "self"]
    wanted = list(zip(names, shapes, strict=False))

    @wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        for (name, shape), value in zip(wanted, args, strict=False):
            require_tensor(value, name, shape)
        for name, shape in wanted[len(args) :]:
            if name in kwargs:
                require_tensor(kwargs[name], name, shape)
        return method(self, *args, **kwargs)

    return checked
