"""What ``codeclab fit --dry-run`` prints: parts, sizes, bitrates, reach, and estimates of memory and time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from codeclab.codecs.bitrate import listed_rates
from codeclab.codecs.device import choose_device
from codeclab.codecs.io.parts import ROLES
from codeclab.codecs.receptive_field import receptive_field
from codeclab.codecs.wording import counted, duration
from codeclab.discriminators.ensemble import Ensemble
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.train.module import CodecExperiment
from codeclab.experiments.train.profiling import now

ADAM_COPIES = 4
"""Numbers kept per trained parameter: weight, gradient and Adam's two moments."""

LONGEST_TIMING, MOST_TIMINGS = 2.0, 5
"""Seconds after which no further step is timed, and the most steps timed; the fastest counts."""


def parameters(module: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@contextmanager
def count_saved_bytes() -> Iterator[dict[int, int]]:
    """Bytes kept for backward passes inside, by storage."""
    saved_bytes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved_bytes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved_bytes


def measure_item(model: CodecExperiment, audio: Tensor, batch: int = 0) -> tuple[float, int]:
    """Seconds and bytes of one item through codec, losses and discriminators, forward and backward.

    Args:
        model: experiment that would be trained.
        audio: ``[1, C, N]``.
        batch: index of the batch, from 0; before the discriminators join, they have no part.
    """

    def step() -> None:
        fake, quantized = model.codec(audio, model.main_codebooks)
        losses = [*model.output_losses(fake, audio).values(), *quantized.losses.values()]
        discriminators = model.discriminators_of(batch)
        if discriminators is not None:
            real_judged, fake_judged = discriminators.ensemble(audio), discriminators.ensemble(fake)
            losses.append(discriminators.adversarial.discriminator(real_judged, fake_judged))
        torch.stack([loss for loss in losses if loss.requires_grad]).sum().backward()
        model.zero_grad(set_to_none=True)

    model.eval()
    with count_saved_bytes() as saved_bytes:
        step()
    durations: list[float] = []
    while sum(durations) < LONGEST_TIMING and len(durations) < MOST_TIMINGS:
        began = now(audio.device)
        step()
        durations.append(now(audio.device) - began)
    model.train()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    return min(durations), sum(size for pointer, size in saved_bytes.items() if pointer not in own)


def describe(model: CodecExperiment, data: AudioData, max_steps: int) -> str:
    """The plan of a run of ``max_steps`` batches, as lines of text."""
    data.check()
    codec = model.codec
    reach = receptive_field(codec)
    lines = ["parts"]
    parts: list[tuple[str, nn.Module]] = [(role, getattr(codec, role)) for role in ROLES]
    first = model.discriminators[0] if model.discriminators else None
    if isinstance(first, Ensemble):
        parts += [(f"discriminator {i}", discriminator) for i, discriminator in enumerate(first.discriminators)]
    lines += [f"  {role:<15} {type(part).__name__:<28} {parameters(part):>12,} parameters" for role, part in parts]
    if len(model.discriminators) > 1:
        count, trained = len(model.discriminators), parameters(model.discriminators)
        lines.append(f"  {count} ensembles of discriminators, one per bandwidth: {trained:,}")
    lines.append(f"codec          {counted(parameters(codec), 'parameter')}")
    lines.append(
        f"audio          {codec.sample_rate} Hz, {counted(codec.channels, 'channel')}, "
        f"{counted(codec.hop_length, 'sample')} a frame, {codec.frame_rate:.2f} frames a second"
    )
    rates = listed_rates(codec.bitrates)
    lines.append(f"bitrates       {rates} kbps (checkpoints are compared at {model.bitrate:.4g})")
    past, future = reach.samples_past / codec.sample_rate * 1000, reach.samples_future / codec.sample_rate * 1000
    unbounded = "unbounded (a recurrent layer or a norm over time); the convolutions alone: " if reach.unbounded else ""
    lines.append(f"receptive field  {unbounded}{past:.1f} ms back, {future:.1f} ms ahead")
    lines.append(f"data           {data.summary()}")
    start = model.schedule.adversarial_start
    joining = f", discriminators from batch {start:,} on" if start else ""
    lines.append(
        f"training       {counted(max_steps, 'batch', 'batches')} of {data.batch_size} x {data.seconds} s, "
        f"{model.update_order}{joining}"
    )
    samples = round(data.seconds * codec.sample_rate)
    audio = 0.1 * torch.randn(1, codec.channels, samples, generator=torch.Generator().manual_seed(0))
    device = choose_device()
    model.to(device)
    audio = audio.to(device)
    # The most memory is needed once the discriminators have joined; the time is that of the mean batch.
    joining_at = start if model.discriminators and start < max_steps else 0
    seconds, saved = measure_item(model, audio, joining_at)
    if joining_at:
        alone = joining_at / max_steps
        seconds = alone * measure_item(model, audio)[0] + (1 - alone) * seconds
    # A step passes the discriminators once more than the measurement, and the generator waits for its gradient.
    items = data.batch_size / model.schedule.accumulate
    memory = parameters(model) * 4 * ADAM_COPIES + saved * items
    lines.append(f"memory         about {memory / 2**30:.1f} GiB (weights and optimizers, and {items:g} at a time)")
    total = seconds * data.batch_size * max_steps
    lines.append(
        f"time           about {duration(total)} on this machine's {device.type} "
        f"({seconds * data.batch_size:.2f} s a batch, from one item timed here)"
    )
    return "\n".join(lines)
