"""Running a user's Python file as a module."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def run_file(file: Path, name: str) -> ModuleType:
    """Run a file as a module, and register it under a name.

    Args:
        file: path of the file, with the suffix ``.py``.
        name: name of the module; an existing module of that name is replaced.

    Raises:
        ImportError: the file cannot be run as a module.
        Exception: the file raises it; the module is then not registered.
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
