"""A codec's encoder and decoder timed: float32, bfloat16, and ``transformers``' model of the same weights."""

import copy
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from codeclab.benchmarks.speed.machine import machine_rows, machine_tasks
from codeclab.benchmarks.speed.timed import Timed
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.transformers_export import to_transformers
from codeclab.codecs.timing import in_turns

UNIT = "times real time"
Task = Callable[[], object]


@torch.no_grad()
def time_inference(
    codec: Codec, bitrate: float | None = None, seconds: float = 5.0, repeats: int = 5
) -> tuple[list[Timed], list[str]]:
    """Time coding on as many threads as torch has.

    Args:
        codec: codec in evaluation mode, on the CPU.
        bitrate: bitrate in kbps; None is the highest.
        seconds: duration in seconds of the noise that is coded; the time does not depend on the audio.
        repeats: number of runs that count.

    Returns:
        the lines, those of the machine last; and a sentence on a peer that could not be timed, if so.
        ``x`` compares with ``transformers`` where it can be timed, else with float32.
    """
    generator = torch.Generator().manual_seed(0)
    audio = 0.1 * torch.randn(1, codec.channels, round(seconds * codec.sample_rate), generator=generator)
    rate = codec.bitrates[-1] if bitrate is None else bitrate
    plain, rough = copy.deepcopy(codec), copy.deepcopy(codec).to_bf16()
    codes = plain.encode(audio, rate)
    tasks: dict[str, Task] = {
        "encode, float32": lambda: plain.encode(audio, rate),
        "encode, bfloat16": lambda: rough.encode(audio, rate),
        "decode, float32": lambda: plain.decode(codes),
        "decode, bfloat16": lambda: rough.decode(codes),
    }
    notes: list[str] = []
    beside = "float32"
    try:
        peer = _transformers(codec, audio, rate)
    except ValueError as error:
        notes.append(f"transformers is not timed beside it: {error}")
    else:
        tasks |= {f"{way}, transformers": task for way, task in peer.items()}
        beside = "transformers"
    taken = in_turns(tasks | machine_tasks(), repeats)
    lines = [Timed(name, taken[name], seconds, UNIT, taken[f"{name.partition(',')[0]}, {beside}"]) for name in tasks]
    return lines + machine_rows(taken), notes


def _transformers(codec: Codec, audio: Tensor, bitrate: float) -> dict[str, Task]:
    """Both ways of ``transformers``' model of the same weights.

    Raises:
        ValueError: there is none; the message says why.
    """
    if find_spec("transformers") is None:
        raise ValueError("it is not installed (pip install 'codeclab[transformers]')")
    import transformers

    transformers.utils.logging.disable_progress_bar()
    exported = to_transformers(codec)
    with TemporaryDirectory() as folder:
        save_file(exported.tensors, Path(folder) / "model.safetensors", {"format": "pt"})
        (Path(folder) / "config.json").write_text(json.dumps(exported.config))
        model: Any = getattr(transformers, exported.model).from_pretrained(folder).eval()
    is_dac = exported.model == "DacModel"
    chosen = {"n_quantizers": codec.n_codebooks_for(bitrate)} if is_dac else {"bandwidth": bitrate}
    output = model.encode(audio, **chosen)
    codes = {name: output[name] for name in (["audio_codes"] if is_dac else ["audio_codes", "audio_scales"])}
    return {"encode": lambda: model.encode(audio, **chosen), "decode": lambda: model.decode(**codes)}
