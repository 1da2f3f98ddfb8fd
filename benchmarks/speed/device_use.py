"""Use of a device by a task, from a profile: how many launches, and how long the device is busy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

COPIES = ("Memcpy", "Memset")
"""Beginnings of the profiler's names for what a GPU does that is no kernel."""


@dataclass(frozen=True)
class DeviceUse:
    """Use of the device by one run of a task.

    Attributes:
        launches: number of kernels of the GPU; on a CPU, of operators that no other operator called.
        busy: time in seconds in which at least one of these ran, copies included.
    """

    launches: float
    busy: float


def wait_for(device: torch.device) -> None:
    """Return once the device has done all that was launched on it; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def waited_for(task: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """A task that returns once the device has done it, so that its time can be taken by the clock."""

    def run() -> None:
        task()
        wait_for(device)

    return run


def profiler(device: torch.device) -> profile:
    """A profiler of what ``device_use`` counts, to be started and stopped."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    return profile(activities=activities, acc_events=True)  # without, it warns of cycles, of which there is one


def device_use(profiled: profile, device: torch.device, times: int = 1) -> DeviceUse:
    """The use of the device by one run.

    Args:
        profiled: profiler after its end. The device was waited for before it started and before it stopped.
        device: device on which the task was done.
        times: number of runs of the task that the profiler saw.
    """
    events = profiled.events() or []
    if device.type == "cuda":
        device_events = [one for one in events if one.device_type == DeviceType.CUDA and not one.is_user_annotation]
        launches = [one for one in device_events if not one.name.startswith(COPIES)]
    else:
        device_events = launches = [one for one in events if _is_operator(one) and not _is_operator(one.cpu_parent)]
    busy = covered((one.time_range.start, one.time_range.end) for one in device_events)
    return DeviceUse(len(launches) / times, busy / times)


def _is_operator(event: FunctionEvent | None) -> bool:
    return event is not None and event.name.startswith("aten::")


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in at least one of the spans.

    Args:
        spans: beginnings and ends in microseconds.
    """
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total / 1e6
