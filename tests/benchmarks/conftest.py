"""Stand-ins that the tests of this folder share."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from codeclab.benchmarks.evaluate.clip import Clip
from codeclab.benchmarks.evaluate.statistics import SUMMARY_COLUMNS
from codeclab.benchmarks.listening.design import LOW_ANCHOR, REFERENCE, SYSTEM, Condition, ListeningTest, make_page


@dataclass
class FakeCodes:
    segments: list[Tensor]


class FakeCodec(nn.Module):
    """Four codebooks of 16 entries, each two bits of amplitude further: a PCM of 4 to 16 bits every second sample."""

    sample_rate = 8000
    bitrates = (16.0, 64.0)
    frame_rate = 4000.0

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.quantizer = SimpleNamespace(codebook_sizes=[16] * 4)
        self.dropout = nn.Dropout(0.5)

    def bitrate_of(self, n_codebooks: int) -> float:
        return n_codebooks * 16.0

    def n_codebooks_for(self, bitrate: float) -> int:
        if bitrate not in self.bitrates:
            raise ValueError(f"bitrate {bitrate} is not offered; offered: {self.bitrates}")
        return round(bitrate / 16)

    def encode(self, audio: Tensor, bitrate: float | None = None, n_codebooks: int | None = None) -> FakeCodes:
        assert audio.shape[1] == self.channels
        assert not torch.is_grad_enabled()
        self.length = audio.shape[-1]
        levels = ((self.dropout(audio)[:, 0, ::2].clamp(-1, 1) + 1) / 2 * 65535).round().long()
        digits = [levels // 16 ** (3 - k) % 16 for k in range(n_codebooks or 4)]
        return FakeCodes([torch.stack(digits, dim=1)])

    def decode(self, codes: FakeCodes) -> Tensor:
        (digits,) = codes.segments
        levels = sum(digits[:, k] * 16 ** (3 - k) for k in range(digits.shape[1]))
        halves = levels / 65535 * 2 - 1
        return halves.repeat_interleave(2, dim=-1)[:, None, : self.length].expand(-1, self.channels, -1)


@pytest.fixture
def fake_codec() -> type[FakeCodec]:
    return FakeCodec


@pytest.fixture
def make_clip() -> Callable[..., Clip]:
    """``make_clip(name, domain, seconds=1.5, sample_rate=8000, channels=1)``: a trembling tone, other for each name."""

    def make(name: str, domain: str, seconds: float = 1.5, sample_rate: int = 8000, channels: int = 1) -> Clip:
        time = torch.arange(int(seconds * sample_rate)) / sample_rate
        pitch = 110 + 30 * (sum(map(ord, name)) % 7)
        tone = sum(torch.sin(2 * math.pi * k * pitch * time) / k for k in range(1, 12))
        audio = 0.2 * tone * (0.6 + 0.4 * torch.sin(2 * math.pi * 4 * time))
        return Clip(name, domain, audio[None].repeat(channels, 1), sample_rate)

    return make


@pytest.fixture
def make_summary() -> Callable[..., pd.DataFrame]:
    """``make_summary(("all", 6.0, "si_sdr", mean, ci95, n, failed), ...)``: a summary with these lines."""
    return lambda *lines: pd.DataFrame(lines, columns=SUMMARY_COLUMNS)


@pytest.fixture
def mushra_test() -> ListeningTest:
    """Two clips of two domains, four conditions; every page has its own ids."""
    rng = Random(7)
    conditions = [
        Condition("Reference", REFERENCE),
        Condition("Anchor, 3.5 kHz", LOW_ANCHOR),
        Condition("A, 3 kbps", SYSTEM, 3.0, "../a", "v1-a"),
        Condition("B, 6 kbps", SYSTEM, 6.0, None, {"part": "Opus"}),
    ]
    first, second, practice = (
        make_page(clip, domain, 1.0, [0, 1, 2, 3], rng)
        for clip, domain in (("guitar", "music"), ("voice", "speech"), ("drum", "music"))
    )
    return ListeningTest("A <test>", conditions, practice, [first, second], listen=0.05)


@pytest.fixture
def mushra_file(mushra_test: ListeningTest) -> Callable[..., str]:
    """``mushra_file(*scores, listener=1)``: what a listener saved who rated each condition alike on every page."""

    def made(*scores: float, listener: int = 1) -> str:
        pages = [
            {"page": page.id, "order": sorted(page.stimuli), "seconds": 12.5}
            | {"ratings": {name: scores[condition] for name, condition in page.stimuli.items()}}
            for page in mushra_test.pages
        ]
        about = {"format": "codeclab mushra ratings", "version": 1, "test": mushra_test.id, "name": "Ann"}
        times = {"began": "2026-11-21T20:00:00.000Z", "ended": "2026-11-21T20:30:00.000Z"}
        return json.dumps(about | times | {"listener": f"{listener:016x}", "pages": pages})

    return made
