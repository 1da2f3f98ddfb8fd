"""Names of classes read from source are those that importing gives."""

import inspect
from importlib import import_module

from codeclab.codecs.io.defined_classes import ROOT, defined_classes, with_derived
from codeclab.quantizers.base import Quantizer


def test_what_is_read_is_what_importing_gives() -> None:
    known = defined_classes(["quantizers/*.py"])
    for name, one in known.items():
        cls = getattr(import_module(one.module), name)
        assert one.file == ROOT / "quantizers" / f"{cls.__module__.rpartition('.')[2]}.py"
        assert one.bases == {base.__name__ for base in cls.__bases__ if base is not object}
        assert set(one.methods) <= set(vars(cls))
        assert one.is_abstract <= inspect.isabstract(cls)
    derived = {name for name in known if issubclass(getattr(import_module(known[name].module), name), Quantizer)}
    assert with_derived(["Quantizer"], known) == derived


def test_derived_at_any_depth() -> None:
    assert with_derived(["nobody"], {}) == {"nobody"}
    known = defined_classes(["codecs/*.py"])
    assert {"Network", "Encoder", "SEANetEncoder"} <= with_derived(["Network"], known)
