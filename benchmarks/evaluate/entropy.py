"""The kbps of a codec's codes under each of its entropy coders, on clips."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized

import numpy as np
import torch
from numpy.typing import NDArray
from pandas import DataFrame

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.evaluate import encoder_input, evaluating, offered
from codeclab.benchmarks.evaluate.judge import named_once
from codeclab.benchmarks.evaluate.progress import progress_bar
from codeclab.benchmarks.evaluate.statistics import ALL, domains_of
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy.coders import CodesCoder
from codeclab.codecs.entropy.container import SCALE, default_chunk

ENTROPY_COLUMNS = ["domain", "bitrate_kbps", "coder", "kbps", "saved", "seconds", "n"]
TITLES = {"none": "packed", "static": "static", "prior": "learnt prior", "lm": "language model"}
"""Printed names of coders."""


def entropy_rates(
    codec: Codec,
    coders: Mapping[str, CodesCoder],
    clips: Iterable[Clip],
    bitrates: Sequence[float] | None = None,
    device: torch.device | str | None = None,
    progress: bool = False,
) -> DataFrame:
    """The kbps that each coder uses for the codes of clips, chunk by chunk as in a ``.clc`` file, without its framing.

    Levels of segments (32 bits each) and the overlap of segments count, so that "none", codes that are packed, may be
    above the nominal bitrate.

    Args:
        codec: codec whose codes are coded.
        coders: coders by name, "none" among them, of which ``saved`` is a share.
        clips: test set.
        bitrates: bitrates in kbps; None takes all that the codec offers.
        device: device that the codec runs on.
        progress: whether to show it on standard error.

    Returns:
        one row per domain (and ``"all"`` together), bitrate and coder: kbps over all samples of the domain, the share
        saved of "none", seconds of audio and number of clips.

    Raises:
        ValueError: a bitrate not offered, or no clips.
    """
    rates = offered(codec, bitrates)
    spent: defaultdict[tuple[str, float, str], float] = defaultdict(float)
    seconds: defaultdict[str, float] = defaultdict(float)
    counted: Counter[str] = Counter()
    total = len(clips) if isinstance(clips, Sized) else None
    with evaluating(codec, device) as target, progress_bar("entropy coding", total, progress) as step:
        for clip in named_once(clips):
            _, audio = encoder_input(codec, clip, target)
            for domain in domains_of(clip.domain):
                seconds[domain] += audio.shape[-1] / codec.sample_rate
                counted[domain] += 1
            for bitrate, count in rates.items():
                codes = codec.encode(audio, n_codebooks=count)
                for name, coder in coders.items():
                    bits = coded_bits(codec, codes, coder)
                    for domain in domains_of(clip.domain):
                        spent[domain, bitrate, name] += bits
            step()
    if not counted:
        raise ValueError("there are no clips to code")
    rows = []
    for (domain, bitrate, name), bits in spent.items():
        saved = 1 - bits / spent[domain, bitrate, "none"]
        rows.append((domain, bitrate, name, bits / 1000 / seconds[domain], saved, seconds[domain], counted[domain]))
    rows.sort(key=lambda row: (row[0] == ALL, row[0], row[1], list(coders).index(row[2])))
    return DataFrame(rows, columns=ENTROPY_COLUMNS)


def coded_bits(codec: Codec, codes: Codes, coder: CodesCoder) -> float:
    """Bits that a coder uses for one recording's codes in the chunks of a file, with the levels of its segments."""
    count = codes.segments[0].shape[1]
    levels = 8 * SCALE.size * len(codes.scales or [])
    chunk = default_chunk(codec, count, coder)
    return levels + sum(coder.bits(part) for part in _chunks(codec, codes, chunk))


def _chunks(codec: Codec, codes: Codes, chunk: int) -> Iterator[NDArray[np.int64]]:
    """Codes ``[K, T]`` of each chunk: of ``chunk`` frames or, of a codec that cuts audio, of ``chunk`` segments."""
    arrays = [segment[0].cpu().numpy() for segment in codes.segments]
    if codec.segments is None:
        whole = np.concatenate(arrays, axis=1)
        yield from (whole[:, first : first + chunk] for first in range(0, whole.shape[1], chunk))
    else:
        yield from (np.concatenate(arrays[first : first + chunk], axis=1) for first in range(0, len(arrays), chunk))


def entropy_text(rates: DataFrame) -> str:
    """The result of ``entropy_rates`` as a table in Markdown: a line per domain and bitrate."""
    names = list(dict.fromkeys(rates["coder"]))
    others = [name for name in names if name != "none"]
    heads = [f"{TITLES.get(name, name)}, kbps" for name in names] + [f"saved by {TITLES.get(n, n)}" for n in others]
    lines = ["| domain | nominal kbps | " + " | ".join(heads) + " | clips |", "|---|" + "---:|" * (len(heads) + 2)]
    for (domain, bitrate), group in rates.groupby(["domain", "bitrate_kbps"], sort=False):
        by_name = group.set_index("coder")
        cells = [f"{by_name.loc[name, 'kbps']:.3f}" for name in names]
        cells += [f"{100 * float(by_name.loc[name, 'saved']):.1f} %" for name in others]
        lines.append(f"| {domain} | {bitrate:.4g} | " + " | ".join(cells) + f" | {group['n'].iloc[0]} |")
    return "\n".join(lines)
