"""The device that a codec runs on."""

import torch


def choose_device(requested: str | None = None) -> torch.device:
    """The requested device; without a request a GPU where there is one, else the CPU."""
    return torch.device(requested or ("cuda" if torch.cuda.is_available() else "cpu"))
