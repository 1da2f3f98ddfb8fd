"""Which recordings the policies draw."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from codeclab.experiments.data.recording import DataError, Recording
from codeclab.experiments.data.sampling import (
    BalancedDomains,
    MixedSources,
    Sampling,
    UniformByDuration,
    UniformByFile,
)


def _recording(domain: str, seconds: float = 1.0, full_band: bool | None = None) -> Recording:
    return Recording(Path("a.wav"), domain, 44100, 1, seconds, full_band)


def _draw(sampling: Sampling, batches: int, batch_size: int) -> list[list[list[int]]]:
    return [
        [sampling.draw(np.random.default_rng([batch, item]), batch, item, batch_size) for item in range(batch_size)]
        for batch in range(batches)
    ]


def test_every_second_or_every_file_is_equally_likely() -> None:
    recordings = [_recording("a", 1.0), _recording("a", 3.0), _recording("a", 6.0)]
    for sampling, shares in ((UniformByDuration(), (0.1, 0.3, 0.6)), (UniformByFile(), (1 / 3, 1 / 3, 1 / 3))):
        sampling.prepare(recordings)
        counts = Counter(item[0] for batch in _draw(sampling, 40, 100) for item in batch)
        assert [counts[i] / 4000 for i in range(3)] == pytest.approx(shares, abs=0.03)


def test_domains_are_equal_and_every_batch_has_a_full_band_item() -> None:
    recordings = [
        *(_recording("general") for _ in range(50)),
        *(_recording("music", full_band=False) for _ in range(5)),
        *(_recording("music", full_band=True) for _ in range(2)),
        *(_recording("speech", full_band=False) for _ in range(500)),
        _recording("speech", full_band=True),
    ]
    sampling = BalancedDomains()
    sampling.prepare(recordings)
    full_band_domains = set()
    for batch in _draw(sampling, 30, 12):
        domains = Counter(recordings[item[0]].domain for item in batch[1:])
        assert max(domains.values()) - min(domains.values()) <= 1
        first = recordings[batch[0][0]]
        assert first.full_band
        full_band_domains.add(first.domain)
    counts = Counter(recordings[item[0]].domain for batch in _draw(sampling, 30, 7) for item in batch[1:])
    assert max(counts.values()) - min(counts.values()) <= 2
    firsts = [recordings[batch[0][0]] for batch in _draw(sampling, 30, 7)]
    assert {r.domain for r in firsts} == {"music", "speech"}

    without = BalancedDomains(full_band=False)
    without.prepare(recordings)
    assert not all(recordings[batch[0][0]].full_band for batch in _draw(without, 30, 7))


def test_balance_without_knowledge_of_the_band() -> None:
    recordings = [_recording("a"), _recording("b"), _recording("b")]
    sampling = BalancedDomains()
    sampling.prepare(recordings)
    counts = Counter(recordings[item[0]].domain for batch in _draw(sampling, 10, 5) for item in batch)
    assert counts == {"a": 25, "b": 25}


def test_mixing_strategies_have_the_papers_probabilities() -> None:
    recordings = [_recording("music"), _recording("speech"), _recording("general")]
    sampling = MixedSources()
    sampling.prepare(recordings)
    drawn = [item for batch in _draw(sampling, 60, 100) for item in batch]
    share = {
        "s1": sum(item == [0] for item in drawn),
        "s2": sum(len(item) == 1 and item != [0] for item in drawn),
        "s3": sum(len(item) == 2 for item in drawn),
        "s4": sum(len(item) == 3 for item in drawn),
    }
    assert [share[s] / len(drawn) for s in ("s1", "s2", "s3", "s4")] == pytest.approx(
        [0.32, 0.32, 0.24, 0.12], abs=0.02
    )
    assert all(0 not in item for item in drawn if len(item) == 3)
    assert any(0 in item for item in drawn if len(item) == 2)


def test_mixing_says_which_domains_it_lacks() -> None:
    with pytest.raises(DataError, match=r"none of the domains \['speech'\] is music"):
        MixedSources().prepare([_recording("speech")])
    MixedSources(single_music=0.0, single_other=0.5, two_of_all=0.5).prepare([_recording("speech")])
    with pytest.raises(ValueError, match="at most 1 together"):
        MixedSources(single_music=0.9, single_other=0.9)
