"""A stand-in for CUDA graphs on a CPU, and training in two processes.

The stand-in records operators with their memory, and runs them again without any Python.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from codeclab.experiments.train.module import CodecExperiment

Result = TypeVar("Result")

FORBIDDEN = {
    **dict.fromkeys(("_local_scalar_dense", "item", "is_nonzero", "nonzero", "masked_select", "bincount"), "reads"),
    "lift_fresh": "copies from the host",
}
"""What CUDA refuses while a stream is captured: waiting for the device, and copies from memory that is not pinned."""

JUNK = -(2**40)


def identity(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@dataclass
class Call:
    """An operator, the memory it reads, and the memory it fills."""

    function: Any
    args: Any
    kwargs: Any
    filled: list[Tensor]
    grad: bool


class Recording(TorchDispatchMode):
    """Records a function's operators, and undoes what they did: a capture runs nothing on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.own: dict[int, Tensor] = {}
        self.before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in FORBIDDEN:
            raise RuntimeError(f"{name} {FORBIDDEN[name]}: operation not permitted when stream is capturing")
        given, named = tree_map(alias, (args, kwargs or {}))
        self.keep_changed(function, given, named)
        result = function(*args, **(kwargs or {}))
        known = {identity(one) for one in tree_leaves((given, named)) if isinstance(one, Tensor)}
        new = [one for one in tree_leaves(result) if isinstance(one, Tensor) and identity(one) not in known]
        changes = any(one.alias_info is not None and one.alias_info.is_write for one in function._schema.arguments)
        if new or changes:  # otherwise it is a view, which a graph does not hold
            self.calls.append(Call(function, given, named, [alias(one) for one in new], torch.is_grad_enabled()))
        for one in new:
            self.own[identity(one)] = alias(one)
        return result

    def keep_changed(self, function: Any, args: Any, kwargs: Any) -> None:
        for number, argument in enumerate(function._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            value = args[number] if number < len(args) else kwargs.get(argument.name)
            for tensor in tree_leaves(value):
                if not isinstance(tensor, Tensor):
                    continue
                if identity(tensor) not in self.own and identity(tensor) not in self.before:
                    whole = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
                    self.before[identity(tensor)] = (whole, whole.clone())

    def undo(self) -> None:
        for memory, content in self.before.values():
            memory.copy_(content)

    def spoil(self) -> None:
        """Overwrite the recording's own memory, as another graph of the same pool does."""
        for tensor in self.own.values():
            if tensor.is_floating_point() or tensor.is_complex():
                tensor.fill_(torch.nan)
            elif tensor.dtype == torch.int64:
                tensor.fill_(JUNK)

    def replay(self) -> None:
        for call in self.calls:
            with torch.set_grad_enabled(call.grad):  # which decides what an operator keeps for its backward pass
                result = call.function(*call.args, **call.kwargs)
            known = {identity(one) for one in tree_leaves((call.args, call.kwargs)) if isinstance(one, Tensor)}
            new = [one for one in tree_leaves(result) if isinstance(one, Tensor) and identity(one) not in known]
            for memory, value in zip(call.filled, new, strict=True):
                memory.copy_(value)


def alias(one: Any) -> Any:
    """The same memory, whatever becomes of the tensor that is given."""
    return one.detach() if isinstance(one, Tensor) else one


class OperatorGraphs:
    """Records operators where ``CudaGraphs`` records kernels. Nothing that it holds survives another's replay."""

    def __init__(self, device: torch.device) -> None:
        self.recordings: list[Recording] = []

    @staticmethod
    def why_not(device: torch.device) -> str | None:
        return None

    def warm_up(self, function: Callable[[], Result]) -> Result:
        return function()

    def capture(self, function: Callable[[], Result]) -> tuple[Result, Callable[[], object]]:
        recording = Recording()
        try:
            with recording:
                result = function()
        finally:
            with torch.no_grad():
                recording.undo()
        self.recordings.append(recording)

        @torch.no_grad()
        def replay() -> None:
            for one in self.recordings:
                one.spoil()
            with torch.autocast("cpu", enabled=False):  # casts were recorded as operators
                recording.replay()

        return result, replay

    def mark(self) -> Callable[[], object]:
        return lambda: None


@pytest.fixture
def operator_graphs(monkeypatch: pytest.MonkeyPatch) -> type[OperatorGraphs]:
    """Takes the place of CUDA's graphs; returns the class."""
    monkeypatch.setattr(CodecExperiment, "graph_backend", OperatorGraphs)
    return OperatorGraphs


@pytest.fixture
def fit_on_two_devices(tiny, tmp_path):
    """``fit_on_two_devices(name, steps, **settings)``: train EnCodec's tiny recipe by the command, in two processes."""

    def fit(name, steps, **settings):
        arguments = [
            *tiny("encodec_24khz", steps, trainer__devices=2, **settings),
            f"--runs={tmp_path}",
            f"--name={name}",
        ]
        environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "codeclab.experiments", "fit", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == 0, ended.stderr

    return fit
