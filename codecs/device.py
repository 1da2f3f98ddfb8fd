"""The device that a codec runs on."""

import torch


def choose_device(requested: str | None = None) -> torch.device:
    """The requested device; without a request a GPU where there is one, else the CPU.

    Args:
        requested: name of a device, such as ``cpu``, ``cuda`` or ``cuda:1``; None chooses.

    Raises:
        ValueError: this machine has no such device.
    """
    name = requested or ("cuda" if torch.cuda.is_available() else "cpu")
    count = torch.cuda.device_count()
    present = {0: "cpu", 1: "cpu, cuda"}.get(count, f"cpu, cuda:0 to cuda:{count - 1}")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"no device is called {name!r}; this machine has: {present}") from error
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(f"this machine has no {name}; it has: {present}")
    return device
