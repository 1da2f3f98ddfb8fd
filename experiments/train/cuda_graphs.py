"""The training step as CUDA graphs: recorded once for each kind of batch, then replayed with a single launch.

The whole step is in a graph: both players' passes, their optimizers, codebooks, balancer and average. What a batch
brings is copied into memory that stays: its audio, the items' numbers of codebooks, and whatever the step takes from
the host (``quantizers.host_work``). Numbers for the logs are copied out and read one batch late, so that the device
never waits for the host.
"""

import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.wording import named_line
from codeclab.experiments.train.non_finite import LateFigures
from codeclab.experiments.train.profiling import is_profiled
from codeclab.experiments.train.rate_sampling import RateSampling
from codeclab.experiments.train.schedule import StepChoices
from codeclab.experiments.train.update import MicroBatchOutput
from codeclab.quantizers.host_work import HostWork

WARM_UP = 3
"""Batches of a kind that are trained before its graph is recorded; they make what stays, such as optimizer states.

PyTorch advises to run a few, on a side stream: in the first ones libraries choose their algorithms and allocate, which
a capture forbids or would record.
"""

Result = TypeVar("Result")
Step = Callable[[Tensor, StepChoices], MicroBatchOutput]
"""One batch of training, of audio ``[B, C, N]``."""
Recorded = tuple[Tensor, MicroBatchOutput, Callable[[], object]]
"""Memory for a batch's audio, the output that each replay fills anew, and the replay."""


class CudaGraphs:
    """CUDA's graphs, recorded on one side stream; all take their memory from one pool.

    They may share it: what one leaves there, another may overwrite, but results are copied out after each replay.

    Args:
        device: CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    @staticmethod
    def why_not(device: torch.device) -> str | None:
        """Why they cannot record on a device, which is any but CUDA's; None where they can."""
        return None if device.type == "cuda" else f"it needs a CUDA device, and this training runs on {device.type}"

    def warm_up(self, function: Callable[[], Result]) -> Result:
        """Run a function as it will be recorded, on the same stream, but now."""
        present = torch.cuda.current_stream()
        self._stream.wait_stream(present)
        with torch.cuda.stream(self._stream):
            result = function()
        present.wait_stream(self._stream)
        return result

    def capture(self, function: Callable[[], Result]) -> tuple[Result, Callable[[], object]]:
        """Record a function, which has no effect on the device now.

        Returns:
            its result, whose tensors each replay fills anew, and the replay.
        """
        graph = torch.cuda.CUDAGraph()
        # The outer context leads back to the present stream even where the inner one fails to end. Only this thread's
        # calls are forbidden: a loader's thread pins memory meanwhile.
        with (
            torch.cuda.stream(self._stream),
            torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"),
        ):
            result = function()
        return result, graph.replay

    def mark(self) -> Callable[[], object]:
        """Mark the present moment in the device's work; returns a function that waits for it."""
        event = torch.cuda.Event()
        event.record()
        return event.synchronize


def refuse_graphs(
    backend: type[CudaGraphs], codec: Codec, rate_sampling: RateSampling, device: torch.device, devices: int
) -> None:
    """Refuse a training whose step cannot be recorded.

    Args:
        backend: kind of graphs that would record it.
        codec: codec in training.
        rate_sampling: choice of the number of codebooks.
        device: device of the training.
        devices: number of devices.

    Raises:
        ValueError: it cannot be recorded; the message says why and what to do.
    """
    per_item = isinstance(rate_sampling.sample(0, 0, torch.arange(1), codec), Tensor)
    why = backend.why_not(device)
    if why is None and devices > 1:
        why = f"it trains on one device, and this training has {devices} (--trainer.devices 1)"
    if why is None and (reason := codec.quantizer.why_not_recorded(per_item)):
        policy = f" with {type(rate_sampling).__name__}" if per_item else ""
        why = f"a step of {type(codec.quantizer).__name__}{policy} cannot be recorded, because {reason}"
    if why:
        raise ValueError(f"cuda_graphs: {why}. Leave out --model.cuda_graphs to train without")


@dataclass
class _Kind:
    """Batches on which the device does the same work."""

    choices: StepChoices
    warm: int = 0
    host: HostWork = field(default_factory=HostWork)
    recorded: Recorded | None = None


class StepGraphs:
    """Runs training steps: those of a kind as they are at first, then by a graph.

    Args:
        backend: graphs that record and replay.
        drop_gradients: deletes all gradients; called after a recording that failed.
    """

    def __init__(self, backend: CudaGraphs, drop_gradients: Callable[[], object]) -> None:
        self._backend = backend
        self._drop_gradients = drop_gradients
        self._kinds: dict[Hashable, _Kind] = {}
        self._shape: torch.Size | None = None
        self._failed = False
        self._printed: set[str] = set()
        self._late: LateFigures | None = None
        self.replays = 0

    def run(self, audio: Tensor, choices: StepChoices, step: Step) -> MicroBatchOutput:
        """Train on a batch.

        Args:
            audio: audio ``[B, C, N]``.
            choices: decisions about the batch.
            step: function that trains on a batch; it reads nothing back from the device.

        Returns:
            what the batch gave. Its scalars are valid until the next step.
        """
        if self._failed:
            return step(audio, choices)
        self._shape = self._shape or audio.shape
        if audio.shape != self._shape:
            self._print_once(
                f"batches of {list(audio.shape)} are trained without a graph, which is for {list(self._shape)}"
            )
        # Such a batch runs as those before a recording do: state that it changes must stay in the memory that graphs
        # read (``in_place``).
        if audio.shape != self._shape or is_profiled():  # a replay has no parts that could be timed
            return self._run_now(HostWork(), audio, choices, step)
        # A graph reads items' numbers of codebooks from the memory it was recorded with: those of each batch of the
        # kind go there.
        kind = self._kinds.setdefault(choices.key, _Kind(_copied(choices)))
        for memory, drawn in zip(kind.choices.n_codebooks, choices.n_codebooks, strict=True):
            if isinstance(memory, Tensor) and isinstance(drawn, Tensor):
                memory.copy_(drawn)
        if kind.warm < WARM_UP:
            kind.warm += 1
            kind.host = HostWork()  # the last warm batch is the one whose host work the recording repeats
            return self._run_now(kind.host, audio, kind.choices, step)
        kind.recorded = kind.recorded or self._record(kind, audio, step)
        if kind.recorded is None:
            return step(audio, choices)
        # A recording has no effect of its own: the batch that was recorded is trained by the first replay, here. Inputs
        # come first, on the stream that the replay waits for.
        memory, output, launch = kind.recorded
        memory.copy_(audio, non_blocking=True)
        kind.host.repeat()
        launch()
        self.replays += 1
        return _copied_out(output)

    def late(self, figures: dict[str, Tensor], batch: int, audio: Tensor) -> LateFigures:
        """The scalars of the step that just ran, as numbers that nobody waits for yet; checks those of the one before.

        Raises:
            NonFiniteLossError: a scalar of the batch before is NaN or infinite.
        """
        numbers = LateFigures(figures, batch, audio, self._backend.mark)
        self.settle()
        self._late = numbers
        return numbers

    def settle(self) -> None:
        """Check the numbers of the last batch now.

        Raises:
            NonFiniteLossError: one is NaN or infinite.
        """
        if self._late is not None:
            self._late.check()
        self._late = None

    def forget(self) -> None:
        """Drop all graphs, as when parameters have moved to other memory."""
        self._kinds.clear()

    def _run_now(self, host: HostWork, audio: Tensor, choices: StepChoices, step: Step) -> MicroBatchOutput:
        with host.noted(), _autocast_uncached():
            return self._backend.warm_up(lambda: step(audio, choices))

    def _record(self, kind: _Kind, audio: Tensor, step: Step) -> Recorded | None:
        memory = torch.empty_like(audio)
        try:
            # No host work: the warm batches have noted it, and ``repeat`` does it before each replay.
            with kind.host.left_out(), _autocast_uncached():
                return memory, *self._backend.capture(lambda: step(memory, kind.choices))
        except Exception as error:  # whatever a part of the user's own does that a graph cannot
            # Later recordings would fail alike. Gradients made in the capture were never computed.
            self._failed = True
            self.forget()
            self._drop_gradients()
            self._print_once(f"the step could not be recorded ({_first(error)}); training goes on without graphs")
            return None

    def _print_once(self, text: str) -> None:
        if text not in self._printed:
            self._printed.add(text)
            print(f"cuda_graphs: {text}", file=sys.stderr)


def _copied(choices: StepChoices) -> StepChoices:
    """Choices with memory of their own for items' numbers of codebooks."""
    return replace(choices, n_codebooks=[n.clone() if isinstance(n, Tensor) else n for n in choices.n_codebooks])


def _copied_out(output: MicroBatchOutput) -> MicroBatchOutput:
    """An output whose codes and shares have memory of their own, because a replay overwrites the graph's.

    The other scalars are copied by ``StepGraphs.late``, before the next step.
    """
    names, shares = list(output.shares), list(output.shares.values())
    own = dict(zip(names, torch.stack(shares).unbind(), strict=True)) if shares else {}
    return replace(output, codes=output.codes.clone(), shares=own)


def _first(error: BaseException) -> str:
    """What went wrong first, in a line: an error in a recording makes its end fail, too."""
    while error.__context__ is not None:
        error = error.__context__
    return named_line(error)


@contextmanager
def _autocast_uncached() -> Iterator[None]:
    """Autocast without its cache of cast weights, which a replay would not fill anew."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)
