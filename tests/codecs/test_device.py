"""The device that a codec runs on."""

import pytest
import torch

from codeclab.codecs.device import choose_device


def test_a_device_that_is_not_there_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device() == torch.device("cpu")
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match=f"this machine has no {name}; it has: cpu$"):
            choose_device(name)
    with pytest.raises(ValueError, match="no device is called 'gpu'; this machine has: cpu$"):
        choose_device("gpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1").index == 1
    with pytest.raises(ValueError, match="this machine has no cuda:2; it has: cpu, cuda:0 to cuda:1"):
        choose_device("cuda:2")
