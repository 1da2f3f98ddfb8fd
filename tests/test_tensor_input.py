"""NumPy arrays and text where a tensor belongs are answered in a line by every part, those of users' own included."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.discriminators.base import Discriminator
from codeclab.experiments.contracts.base import discovered_parts
from codeclab.experiments.data.augmentation import Augmentation
from codeclab.experiments.train.losses.base import ReconstructionLoss
from codeclab.quantizers.base import Quantizer
from codeclab.quantizers.tensor_input import NotATensorError

SHAPES = {
    Quantizer: {"forward": r"\[B, D, T\]", "encode": r"\[B, D, T\]", "decode": r"\[B, K, T\]"},
    Discriminator: {"forward": r"\[B, C, N\]"},
    ReconstructionLoss: {"forward": r"\[B, C, N\]"},
    Encoder: {"forward": r"\[B, C, N\]"},
    Decoder: {"forward": r"\[B, D, T\]"},
    Augmentation: {"__call__": r"\[C, N\]", "apply": r"\[C, N\]"},
}
METHODS = [
    pytest.param(part, name, shape, id=f"{part.__name__}.{name}")
    for base, methods in SHAPES.items()
    for part in discovered_parts(base)
    for name, shape in methods.items()
]
REST = {"forward": 1, "__call__": 2, "apply": 3}
"""Arguments after the first, of which some are looked at by none."""


@pytest.mark.parametrize(("part", "name", "shape"), METHODS)
@pytest.mark.parametrize("value", [np.zeros((1, 1, 240), np.float32), "a.wav"], ids=["array", "text"])
def test_every_part_says_what_it_takes(part: type, name: str, shape: str, value: Any) -> None:
    built = object.__new__(part)  # the check needs nothing of it, as everything else would
    rest = [value] if issubclass(part, ReconstructionLoss) else [24000, None, []][: REST.get(name, 0)]
    if issubclass(part, (Discriminator, Encoder, Decoder, Quantizer)):
        rest = []
    with pytest.raises(NotATensorError, match=f" is a {type(value).__name__}; it should be a tensor {shape}, as torch"):
        getattr(part, name)(built, value, *rest)


def test_the_second_of_two_is_looked_at_and_one_given_by_name() -> None:
    for part in discovered_parts(ReconstructionLoss):
        with pytest.raises(TypeError, match=r"real is a ndarray; it should be a tensor \[B, C, N\]"):
            part.forward(object.__new__(part), torch.zeros(1, 1, 8), np.zeros((1, 1, 8)))  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match=r"fake is a str; it should be"):
            part.forward(object.__new__(part), real=torch.zeros(1, 1, 8), fake="a.wav")  # type: ignore[attr-defined]


def test_parts_of_ones_own_answer_alike_and_may_call_what_they_inherit() -> None:
    class Louder(Augmentation):
        def __call__(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor | None:
            return 2 * audio

    rng = np.random.default_rng(0)
    assert Louder().apply(torch.ones(1, 2), 24000, rng, []).tolist() == [[2.0, 2.0]]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"audio is a ndarray; it should be a tensor \[C, N\]"):
        Louder()(np.ones((1, 2)), 24000, rng)  # type: ignore[arg-type]


def test_clips_and_codecs() -> None:
    with pytest.raises(TypeError, match=r"audio of clip 'a' is a ndarray; it should be a tensor \[C, N\]"):
        Clip("a", "speech", np.zeros((1, 240)), 24000)  # type: ignore[arg-type]
    codec = Codec.from_recipe("encodec_24khz", scale="laptop").eval()
    with pytest.raises(TypeError, match=r"audio is a list; it should be a tensor \[B, 1, N\], a NumPy array or a path"):
        codec.encode([0.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cast to float16, but its quantizer computes in float32: call .float"):
        codec.half()(torch.zeros(1, 1, 2400))
