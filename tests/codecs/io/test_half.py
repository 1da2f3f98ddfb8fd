"""A codec in half the bytes."""

import pytest
import torch
from safetensors.torch import load_file

from codeclab.codecs.codec import Codec
from codeclab.codecs.io.folder import TENSORS, identity


def test_it_is_half_as_large_and_computes_in_float32(codec: Codec, tmp_path) -> None:
    codec.save(tmp_path / "whole")
    codec.save(tmp_path / "half", half=True)
    sizes = [(tmp_path / name / TENSORS).stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.7 * sizes[0]  # names and whole numbers stay
    loaded = Codec.from_pretrained(tmp_path / "half")
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    tensors = load_file(tmp_path / "half" / TENSORS)
    for name, value in Codec.from_pretrained(tmp_path / "whole").state_dict().items():
        expected = value.half() if value.is_floating_point() else value
        assert torch.equal(tensors[name], expected), name
        assert torch.equal(loaded.state_dict()[name], expected.to(value.dtype)), name


def test_its_identity_is_that_of_the_rounded_weights(codec: Codec, tmp_path) -> None:
    codec.save(tmp_path / "half", half=True)
    once = Codec.from_pretrained(tmp_path / "half")
    once.save(tmp_path / "again")
    assert identity(Codec.from_pretrained(tmp_path / "again")) == identity(once)
    assert identity(once) != identity(codec)


@pytest.mark.parametrize("form", ["transformers"])
def test_other_formats_have_no_halves(codec: Codec, tmp_path, form: str) -> None:
    from codeclab.experiments.runs.export import export

    with pytest.raises(ValueError, match="--half is for codeclab's own format"):
        export(codec, tmp_path, form, half=True)
