"""Loads the reference discriminators' parameters into ours, by name."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from codeclab.discriminators.base import DiscriminatorOutput

State = dict[str, Tensor]


def _put(conv: nn.Module, state: State, name: str) -> None:
    with torch.no_grad():
        conv.bias.copy_(state.pop(f"{name}.bias"))
        if f"{name}.weight" in state:
            conv.weight.copy_(state.pop(f"{name}.weight"))
        else:
            conv.parametrizations.weight.original0.copy_(state.pop(f"{name}.weight_g"))
            conv.parametrizations.weight.original1.copy_(state.pop(f"{name}.weight_v"))


@pytest.fixture
def load_reference() -> Callable[[State, Iterable[tuple[nn.Module, str]]], None]:
    """``load(tensors, [(our convolution, the reference's name), ...])``; every reference parameter must be used."""

    def load(tensors: State, pairs: Iterable[tuple[nn.Module, str]]) -> None:
        state = {name.removeprefix("param."): value for name, value in tensors.items() if name.startswith("param.")}
        for conv, name in pairs:
            _put(conv, state, name)
        assert not [name for name in state if not name.endswith("window")]

    return load


@pytest.fixture
def relative_error() -> Callable[[Tensor, Tensor], float]:
    """The largest error as a fraction of the reference's largest magnitude."""

    def error(actual: Tensor, expected: Tensor) -> float:
        assert actual.shape == expected.shape
        return ((actual - expected).abs().max() / expected.abs().max()).item()

    return error


@pytest.fixture
def worst_output_error(
    relative_error: Callable[[Tensor, Tensor], float],
) -> Callable[[State, list[DiscriminatorOutput]], float]:
    """The worst relative error over the logits and features of all sub-networks."""

    def worst(tensors: State, outputs: list[DiscriminatorOutput]) -> float:
        errors = []
        for k, (logits, features) in enumerate(outputs):
            maps = [name for name in tensors if name.startswith(f"output.fmap.{k}.")]
            expected = tensors.get(f"output.logits.{k}", tensors.get(f"output.fmap.{k}.{len(features)}"))
            assert len(maps) - len(features) == (f"output.logits.{k}" not in tensors)
            errors.append(relative_error(logits, expected))
            errors += [relative_error(f, tensors[f"output.fmap.{k}.{i}"]) for i, f in enumerate(features)]
        assert f"output.fmap.{len(outputs)}.0" not in tensors
        return max(errors)

    return worst


@pytest.fixture
def load_scales(load_reference: Callable[..., None]) -> Callable[[State, nn.Module], None]:
    """Loads AudioCraft's or EnCodec's layout: one stack and one last convolution per sub-network."""

    def load(tensors: State, discriminator: nn.Module) -> None:
        pairs = []
        for k, network in enumerate(discriminator.networks):
            name = f"discriminators.{k}"
            pairs += [(conv, f"{name}.convs.{i}.conv") for i, conv in enumerate(network.stack.convs)]
            pairs.append((network.post, f"{name}.conv_post.conv"))
        load_reference(tensors, pairs)

    return load
