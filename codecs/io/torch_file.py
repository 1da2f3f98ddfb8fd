"""Files of ``torch.save`` that others made, read without running what is in them."""

import zipfile
from pathlib import Path
from typing import Any

import torch


def read_torch_file(path: Path) -> Any:
    """What a file of ``torch.save`` holds, on the CPU: tensors and plain values only.

    Args:
        path: the file.

    Raises:
        ValueError: the file is damaged, is none of ``torch.save``, or holds objects of classes, none of which is made.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    # A damaged pickle may raise anything while it is parsed.
    except Exception as error:
        refused = _classes_in(path)
        if refused:
            raise ValueError(
                f"{path} holds objects of {', '.join(refused)}, which are not loaded: only tensors and plain values "
                "are. If you trust the file, save its state_dict and plain values again with torch.save"
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise ValueError(
            f"{path} is not a complete file of tensors written by torch.save (damaged, cut short, or a pickle of "
            f"objects): {reason}"
        ) from error


def _classes_in(path: Path) -> list[str]:
    """Names of the classes in a file that torch refuses to make; none where it cannot tell."""
    if not zipfile.is_zipfile(path):
        return []
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:
        return []
