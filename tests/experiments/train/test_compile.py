"""``--compile`` changes no result and no name."""

import functools
import sys

import pytest
import torch
from torch._dynamo.eval_frame import _debug_get_cache_entry_list

from codeclab.discriminators.layers import ConvStack
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.train.compile import missing_compiler

# Compiling takes a time for each layer, and deeper networks only repeat these layers.
SHALLOW = {
    "encodec_24khz": {"model__encoder__strides": "[16, 20]", "model__decoder__strides": "[16, 20]"},
    "dac_44khz": {"model__encoder__strides": "[16, 32]", "model__decoder__strides": "[16, 32]"},
}


@pytest.fixture
def traced_backend(monkeypatch):
    """Trace as the compiler does, forward and backward, but run the graphs as they are: seconds instead of minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    monkeypatch.setenv("CXX", sys.executable)  # nothing is built
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled(module):
    return {name for name, part in module.named_modules() if part._compiled_call_impl is not None}


# The compiler looks at .grad of inner tensors; it hides the warning, but not from "error".
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.usefixtures("traced_backend")
@pytest.mark.parametrize("recipe", ["encodec_24khz", pytest.param("dac_44khz", marks=pytest.mark.slow)])
def test_compiling_changes_neither_results_nor_names(recipe, watched):
    settings = {"model__discriminator_probability": 1, "model__update_order": "joint"} | SHALLOW[recipe]
    plain, before = watched(recipe, 1, name="plain", **settings)
    quick, after = watched(recipe, 1, name="quick", model__compile="true", **settings)
    assert not compiled(plain.model)
    assert torch._functorch.config.donated_buffer  # another training in this process finds torch as it was
    playing = [quick.model.codec, quick.model.discriminators_of(0).ensemble]
    codes = [m.forward.__code__ for player in playing for m in player.modules() if m._compiled_call_impl is not None]
    graphs = [len(_debug_get_cache_entry_list(code)) for code in codes]
    # The compiler keeps eight graphs a code object and then gives up: no two modules may share one.
    assert len(set(codes)) == len(codes)
    assert sum(graphs) > 8
    assert all(0 < count < 8 for count in graphs)
    assert after.states[-1].keys() == before.states[-1].keys()
    for (player, step, ours), (_, _, theirs) in zip(after.gradients, before.gradients, strict=True):
        assert ours.keys() == theirs.keys(), (player, step)
        for name, gradient in ours.items():
            scale = float(theirs[name].abs().max())
            torch.testing.assert_close(gradient, theirs[name], rtol=1e-3, atol=1e-3 * scale)


@pytest.mark.usefixtures("traced_backend")
def test_what_is_compiled(build):
    """The coders around their LSTMs, each layer once, and the discriminators' convolutions; nothing else."""
    model = build("encodec_24khz", model__compile="true").model
    names = compiled(model)
    stacks = {name for name, part in model.named_modules() if isinstance(part, ConvStack)}
    assert stacks
    assert {name for name in names if not name.startswith("codec.")} == stacks
    coders = {name for name in names if name.startswith("codec.")}
    assert {name.split(".")[1] for name in coders} == {"encoder", "decoder"}
    assert not any(isinstance(inner, torch.nn.LSTM) for name in coders for inner in model.get_submodule(name).modules())
    assert not any(other.startswith(f"{name}.") for name in coders for other in coders)
    lstm = {id(p) for m in model.codec.modules() if isinstance(m, torch.nn.LSTM) for p in m.parameters()}
    covered = {id(p) for name in coders for p in model.get_submodule(name).parameters()}
    for coder in (model.codec.encoder, model.codec.decoder):
        assert {id(p) for p in coder.parameters()} - lstm <= covered
    assert compiled(build("dac_44khz", name="dac", model__compile="true").model.codec) == {"encoder", "decoder"}


@pytest.mark.usefixtures("traced_backend")
def test_a_missing_compiler_is_reported_before_training(build, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for variable in ("CC", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RecipeError, match=r"--compile needs a C\+\+ compiler on the PATH \(g\+\+ or clang\+\+\)"):
        build("dac_44khz", model__compile="true")
    assert not (tmp_path / "run").exists()
    assert "a C compiler on the PATH (gcc or clang), or named by CC" in missing_compiler("cuda")
    monkeypatch.setenv("CXX", sys.executable)
    assert missing_compiler("cpu") is None
