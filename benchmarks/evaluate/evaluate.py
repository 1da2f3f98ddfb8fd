"""Evaluates a codec on clips: encode, decode, score."""

import platform
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from pandas import DataFrame
from torch import Tensor, nn

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.codes import CODES_KBPS, CodeStatistics, rates_spent
from codeclab.benchmarks.evaluate.evaluation import SPENT_KBPS, Evaluation
from codeclab.benchmarks.evaluate.judge import Decoded, judge, match_channels, named_once, provenance
from codeclab.benchmarks.evaluate.sets import SetStatistics
from codeclab.benchmarks.metrics.registry import DEFAULT_METRICS, metrics_named
from codeclab.codecs.bitrate import spent_bitrate
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.resample import resample, same_length


class EvaluatedCodec(Protocol):
    """The methods that ``evaluate`` needs of a codec: ``codeclab.Codec``, or any other class that has them."""

    sample_rate: int

    @property
    def channels(self) -> int:
        """Audio channels."""

    @property
    def bitrates(self) -> Sequence[float]:
        """Bitrates offered, kbps."""

    @property
    def frame_rate(self) -> float:
        """Latent frames per second, Hz."""

    @property
    def quantizer(self) -> Any:
        """Has ``codebook_sizes``, the entries of each codebook."""

    def n_codebooks_for(self, bitrate: float) -> int:
        """Codebooks that make a bitrate in kbps; ValueError where it is not offered."""

    def bitrate_of(self, n_codebooks: int) -> float:
        """True kbps of a number of codebooks."""

    def encode(self, audio: Tensor, bitrate: float | None = None, n_codebooks: int | None = None) -> Any:
        """Audio ``[B, C, N]`` to an object with ``segments``, a list of codes ``[B, K, T]``."""

    def decode(self, codes: Any) -> Tensor:
        """The output of ``encode`` to audio ``[B, C, N]`` of the same length."""


def evaluate(
    codec: EvaluatedCodec,
    clips: Iterable[Clip],
    bitrates: Sequence[float] | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int = 0,
    device: torch.device | str | None = None,
    progress: bool | str = False,
) -> Evaluation:
    """Encode, decode and score every clip at every bitrate.

    A clip is resampled to the codec's rate and its decoded version back, so that every codec is judged on the original
    at the original's rate. A mono codec is given (and judged on) the mean of a clip's channels; a mono clip is given to
    a codec of more channels in each, and their decoded mean is judged. Each bitrate is encoded on its own, but where
    the quantizer says that codes of fewer codebooks are the first of those of more (``codes_are_nested``).
    A learnt bitrate is given as what the codes of these clips cost, of each in the column ``codes_kbps``.

    Args:
        codec: a ``Codec``, or anything with the same methods; in evaluation mode while this runs.
        clips: test set; names must be unique. A generator is taken clip by clip.
        bitrates: bitrates in kbps, as the codec offers them; None is all of them.
        metrics: names from ``METRICS``.
        workers: processes that compute ViSQOL while this one encodes; 0 computes all here. A script that uses them must
            run under ``if __name__ == "__main__":``, because they are spawned.
        device: device that the codec runs on; None is its present one. It is moved back afterwards.
        progress: whether to show progress on standard error; a text is what it is called there.

    Returns:
        the scores; a metric that fails on a clip is NaN there, with its reason.

    Raises:
        ValueError: a metric or bitrate is unknown, a clip's name stands twice, there is no clip, or a clip's channels
            do not suit the codec.
        RuntimeError: a worker process died.
    """
    chosen = metrics_named(metrics)
    rates = offered(codec, bitrates)
    total = len(clips) * len(rates) if isinstance(clips, Sized) else None
    codes = CodeStatistics(codec.quantizer.codebook_sizes)
    sets = SetStatistics(chosen)
    with evaluating(codec, device) as target:
        decoded = sets.watched(_decoded(codec, clips, rates, target, codes))
        rows = judge(decoded, chosen, workers, total, progress)
    scores, codebooks = DataFrame(rows), codes.table()
    spent = rates_spent(scores)
    for table in (scores, codebooks):
        table["bitrate_kbps"] = table["bitrate_kbps"].replace(spent)
    rates = {spent.get(rate, rate): count for rate, count in rates.items()}
    name = torch.cuda.get_device_name(target) if target.type == "cuda" else platform.processor() or platform.machine()
    info = {
        "codec": getattr(codec, "identity", None),
        "sample_rate": codec.sample_rate,
        "channels": codec.channels,
        "frame_rate": codec.frame_rate,
        "bitrates_kbps": list(rates),
        "device": f"{target.type} ({name})",
        **provenance(chosen, workers),
    }
    if isinstance(codec, Codec) and codec.segments is not None and not codec.quantizer.learns_rate:
        info[SPENT_KBPS] = [[rate, spent_bitrate(codec, count)] for rate, count in rates.items()]
    return Evaluation(scores, codebooks, {**info, **sets.info(spent)})


def offered(codec: EvaluatedCodec, bitrates: Sequence[float] | None) -> dict[float, int]:
    """True kbps and number of codebooks of each requested bitrate, lowest first.

    Args:
        codec: codec that offers the bitrates.
        bitrates: bitrates in kbps; None is all that the codec offers.

    Raises:
        ValueError: no bitrate is requested, or the codec does not offer one.
    """
    requested = codec.bitrates if bitrates is None else bitrates
    if not requested:
        raise ValueError("no bitrate to evaluate at; leave `bitrates` out for all that the codec offers")
    counts = sorted({codec.n_codebooks_for(bitrate) for bitrate in requested})
    return {codec.bitrate_of(count): count for count in counts}


def encoder_input(codec: EvaluatedCodec, clip: Clip, device: torch.device) -> tuple[Tensor, Tensor]:
    """The reference ``[C, N]`` of a clip, and the audio ``[1, C, M]`` at the codec's rate that is encoded."""
    reference, given = match_channels(clip.audio.detach().cpu().float(), codec.channels, clip.name)
    return reference, resample(given, clip.sample_rate, codec.sample_rate)[None].to(device)


def decoder_output(codec: EvaluatedCodec, codes: Any, clip: Clip) -> Tensor:
    """The decoded audio of a clip in the shape of its reference: at the clip's rate, and mono where the clip is."""
    audio = codec.decode(codes)[0].float().cpu()
    if clip.audio.shape[0] < codec.channels:
        audio = audio.mean(dim=0, keepdim=True)
    return same_length(resample(audio, codec.sample_rate, clip.sample_rate), clip.audio.shape[-1])


@contextmanager
def evaluating(codec: EvaluatedCodec, device: torch.device | str | None) -> Iterator[torch.device]:
    """Hold a codec in evaluation mode, on a device, without gradients, and put it back as it was."""
    if not isinstance(codec, nn.Module):
        with torch.no_grad():
            yield torch.device(device or "cpu")
        return
    first = next(codec.parameters(), None)
    home = first.device if first is not None else torch.device("cpu")
    target = torch.device(device) if device is not None else home
    modes = {module: module.training for module in codec.modules()}
    try:
        codec.to(target).eval()
        with torch.no_grad():
            yield target
    finally:
        codec.to(home)
        for module, training in modes.items():
            module.training = training


def _decoded(
    codec: EvaluatedCodec, clips: Iterable[Clip], rates: dict[float, int], device: torch.device, codes: CodeStatistics
) -> Iterator[Decoded]:
    for clip in named_once(clips):
        reference, given = encoder_input(codec, clip, device)
        nested = _encoded_once(codec, given, rates)
        for bitrate, count in rates.items():
            encoded = codec.encode(given, n_codebooks=count) if nested is None else nested.first(count, bitrate)
            codes.update(clip.domain, bitrate, encoded.segments)
            row = {"name": clip.name, "domain": clip.domain, "seconds": clip.seconds}
            row |= {"bitrate_kbps": bitrate, "n_codebooks": count}
            if getattr(codec.quantizer, "learns_rate", False):
                row[CODES_KBPS] = encoded.bitrate
            yield Decoded(row, reference, decoder_output(codec, encoded, clip), clip.sample_rate)


def _encoded_once(codec: EvaluatedCodec, audio: Tensor, rates: dict[float, int]) -> Codes | None:
    """Codes of the most codebooks, where those of fewer are the first of them; otherwise None."""
    if len(rates) == 1 or not isinstance(codec, Codec) or not codec.quantizer.codes_are_nested:
        return None
    return codec.encode(audio, n_codebooks=max(rates.values()))
