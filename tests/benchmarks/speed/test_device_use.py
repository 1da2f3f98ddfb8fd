"""Launches are counted and busy time is covered time, not the sum of what overlaps."""

from types import SimpleNamespace

import pytest
import torch
from torch.autograd import DeviceType

from codeclab.benchmarks.speed.device_use import covered, device_use, profiler


def test_time_under_several_spans_counts_once() -> None:
    assert covered([(5e6, 6e6), (0.0, 2e6), (1e6, 3e6), (1.5e6, 2e6)]) == pytest.approx(4.0)
    assert covered([]) == 0.0


def test_on_a_cpu_launches_are_operators_that_no_other_called() -> None:
    weight = torch.randn(4, 4, requires_grad=True)
    with profiler(torch.device("cpu")) as profiled:
        for _ in range(2):
            torch.nn.functional.linear(torch.ones(2, 4), weight)  # calls t and mm; ones calls empty and fill_
    use = device_use(profiled, torch.device("cpu"), times=2)
    assert use.launches == 2
    assert 0 < use.busy < 10


def test_on_a_gpu_launches_are_kernels_and_copies_only_keep_it_busy() -> None:
    def event(name: str, start: float, end: float, kind=DeviceType.CUDA, annotation: bool = False) -> SimpleNamespace:
        return SimpleNamespace(
            name=name,
            time_range=SimpleNamespace(start=start, end=end),
            device_type=kind,
            is_user_annotation=annotation,
        )

    events = [
        event("void at::native::elementwise_kernel", 0, 1e6),
        event("ampere_sgemm_128x64_nn", 0.5e6, 2e6),
        event("Memcpy HtoD (Pinned -> Device)", 3e6, 4e6),
        event("Optimizer.step#Adam.step", 0, 9e6, annotation=True),
        event("aten::mul", 0, 9e6, kind=DeviceType.CPU),
        event("cudaLaunchKernel", 0, 9e6, kind=DeviceType.CPU),
    ]
    use = device_use(SimpleNamespace(events=lambda: events), torch.device("cuda"), times=2)
    assert use.launches == 1
    assert use.busy == pytest.approx(1.5)
