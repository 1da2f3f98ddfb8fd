"""Fixtures every test may use."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).resolve().parents[2] / "shared"

Golden = tuple[dict[str, torch.Tensor], dict[str, Any]]


@pytest.fixture
def golden() -> Callable[[str], Golden]:
    """Reads a golden case: ``golden(name) -> (tensors, description)``; see tests/golden/README.md.

    The few that would take the folder over its limit are read from ../shared; without it their tests skip.
    """

    def load(name: str) -> Golden:
        folder = GOLDEN if (GOLDEN / f"{name}.json").is_file() else SHARED / "parity"
        if not (folder / f"{name}.json").is_file():
            pytest.skip(f"needs ../shared/parity/{name}.safetensors, which is not here")
        return load_file(folder / f"{name}.safetensors"), json.loads((folder / f"{name}.json").read_text())

    return load


@pytest.fixture
def golden_file() -> Callable[[str], Path]:
    """Where a file of a golden case lies that is not tensors: ``golden_file("….ecdc")``."""

    def find(name: str) -> Path:
        found = [path for path in (GOLDEN / name, SHARED / "parity" / name) if path.is_file()]
        if not found:
            pytest.skip(f"needs ../shared/parity/{name}, which is not here")
        return found[0]

    return find


@pytest.fixture
def shared() -> Path:
    """The folder of recorded audio and references beside the checkout; a test that wants it skips without it."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared (recorded audio and reference scores), which is not here")
    return SHARED


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
