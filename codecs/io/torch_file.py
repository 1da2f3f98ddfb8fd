"""Reading files of ``torch.save`` without running code from them."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from codeclab.codecs.wording import first_line


def read_torch_file(path: Path) -> Any:
    """The content of a file of ``torch.save``, on the CPU: tensors and plain values only.

    Args:
        path: path of the file.

    Raises:
        ValueError: the file is damaged, is not of ``torch.save``, or contains objects of other classes.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    # Parsing a damaged pickle may raise any error.
    except Exception as error:
        refused = _classes_in(path)
        if refused:
            raise ValueError(
                f"{path} holds objects of {', '.join(refused)}, which are not loaded: only tensors and plain values "
                "are. If you trust the file, save its state_dict and plain values again with torch.save"
            ) from error
        raise ValueError(
            f"{path} is not a complete file of tensors written by torch.save (damaged, cut short, or a pickle of "
            f"objects): {first_line(error)[:120]}"
        ) from error


def _classes_in(path: Path) -> list[str]:
    """Names of the classes in a file that torch refuses to load; none if they are unknown."""
    if not zipfile.is_zipfile(path):
        return []
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:
        return []
