"""A helpful error where a part gets something else than a tensor, such as a NumPy array."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor


class NotATensorError(TypeError, ValueError):
    """An argument is not a tensor; the message states its type and the expected shape."""


def require_tensor(value: object, name: str, shape: str) -> None:
    """Refuse a value that is not a tensor.

    Args:
        value: value of the argument.
        name: name of the argument, for the message.
        shape: expected shape, such as ``[B, C, N]``, for the message.

    Raises:
        NotATensorError: ``value`` is not a tensor.
    """
    if not isinstance(value, Tensor):
        raise NotATensorError(
            f"{name} is a {type(value).__name__}; it should be a tensor {shape}, as torch.from_numpy(array) makes"
        )


def takes_tensors(cls: type, **methods: tuple[str, ...]) -> None:
    """Make the methods that a class itself defines check for tensors; for the base's ``__init_subclass__``.

    Args:
        cls: subclass whose methods are wrapped.
        methods: shapes of the leading tensor arguments, by name of the method.
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
