"""A Python file of the user's own, run as a module."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def run_file(file: Path, name: str) -> ModuleType:
    """Run a file as a module of a name, under which Python knows it from then on.

    Args:
        file: with the suffix ``.py``.
        name: of the module; one that has it is replaced.

    Raises:
        ImportError: the file cannot be run as a module.
        Exception: whatever the file raises; the module is then not known.
    """
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"Python cannot load {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception:
        del sys.modules[name]
        raise
    return module
