"""Which recordings the policies draw."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from codeclab.experiments.data.recording import Recording
from codeclab.experiments.data.sampling import (
    BalancedDomains,
    EnCodecMixing,
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
        *(_recording("music", full_band=False) for _ in range(50)),
        *(_recording("music", full_band=True) for _ in range(2)),
        *(_recording("speech", full_band=False) for _ in range(500)),
        _recording("speech", full_band=True),
    ]
    sampling = BalancedDomains()
    sampling.prepare(recordings)
    assert sampling.remark() == ""
    for batch_size in (12, 7, 3):
        domains: Counter[str] = Counter()
        chosen: Counter[str] = Counter()
        for batch in _draw(sampling, 30, batch_size):
            items = [recordings[item[0]] for item in batch]
            assert any(recording.full_band for recording in items)
            inside = Counter(recording.domain for recording in items)
            assert max(inside.values()) - min(inside.values()) <= 1
            domains.update(inside)
            chosen.update({recording.domain for recording in items if recording.full_band})
        assert max(domains.values()) - min(domains.values()) <= 1
        assert min(chosen["music"], chosen["speech"]) >= 8  # each domain's in turn

    without = BalancedDomains(full_band=False)
    without.prepare(recordings)
    assert not all(any(recordings[item[0]].full_band for item in batch) for batch in _draw(without, 30, 7))


def test_a_batch_smaller_than_the_domains_still_has_its_full_band_item() -> None:
    recordings = [_recording("a"), _recording("b"), _recording("c", full_band=True)]
    sampling = BalancedDomains()
    sampling.prepare(recordings)
    assert all(any(recordings[item[0]].full_band for item in batch) for batch in _draw(sampling, 9, 2))


def test_balance_without_knowledge_of_the_band() -> None:
    recordings = [_recording("a"), _recording("b"), _recording("b")]
    sampling = BalancedDomains()
    sampling.prepare(recordings)
    counts = Counter(recordings[item[0]].domain for batch in _draw(sampling, 10, 5) for item in batch)
    assert counts == {"a": 25, "b": 25}
    assert "no full-band item: the files' bandwidth is unknown; run `codeclab data scan FOLDER`" in sampling.remark()
    sampling.prepare([_recording("a", full_band=False)])
    assert "no full-band item: no file is full-band" in sampling.remark()


def test_mixing_strategies_have_the_papers_probabilities() -> None:
    recordings = [_recording("music"), _recording("speech"), _recording("general")]
    sampling = EnCodecMixing()
    sampling.prepare(recordings)
    assert sampling.remark() == ""
    drawn = [item for batch in _draw(sampling, 100, 100) for item in batch]
    share = {
        "s1": sum(item == [0] for item in drawn),
        "s2": sum(len(item) == 1 and item != [0] for item in drawn),
        "s3": sum(len(item) == 2 for item in drawn),
        "s4": sum(len(item) == 3 for item in drawn),
    }
    # Four standard deviations of a share of 10,000 draws are 0.019 at most.
    shares = [share[s] / len(drawn) for s in ("s1", "s2", "s3", "s4")]
    assert shares == pytest.approx([0.32, 0.32, 0.24, 0.12], abs=0.019)
    assert all(0 not in item for item in drawn if len(item) == 3)
    assert {tuple(item) for item in drawn if len(item) == 2} == {(i, j) for i in range(3) for j in range(3)}


def test_a_plan_keeps_its_strategy() -> None:
    sampling = EnCodecMixing()
    sampling.prepare([_recording("music"), _recording("speech")])
    for item in range(40):
        rng = np.random.default_rng(item)
        draw = sampling.plan(rng, 0, item, 40)
        assert len({(len(chosen), chosen == [0]) for chosen in (draw(rng) for _ in range(10)) if len(chosen) != 2}) <= 1
        assert len({len(draw(rng)) for _ in range(10)}) == 1


@pytest.mark.parametrize(
    ("domains", "said"),
    [
        (["speech", "general"], r"none of the domains \(general, speech\) is music \(music, music-like\)"),
        (["music"], r"none of the domains \(music\) is anything but music"),
    ],
)
def test_without_its_domains_nothing_is_mixed_and_that_is_said(domains: list[str], said: str) -> None:
    recordings = [_recording(domain, seconds) for domain in domains for seconds in (1.0, 3.0)]
    sampling = EnCodecMixing()
    sampling.prepare(recordings)
    assert re.search(said, sampling.remark())
    drawn = [item for batch in _draw(sampling, 20, 100) for item in batch]
    assert all(len(item) == 1 for item in drawn)
    long = sum(recordings[item[0]].seconds == 3.0 for item in drawn)
    assert long / len(drawn) == pytest.approx(0.75, abs=0.04)


def test_strategies_that_are_never_drawn_need_nothing() -> None:
    sampling = EnCodecMixing((0.0, 0.5, 0.5, 0.0))
    sampling.prepare([_recording("speech")])
    assert sampling.remark() == ""
    assert {len(item) for batch in _draw(sampling, 4, 10) for item in batch} == {1, 2}


def test_probabilities_that_are_none_are_refused() -> None:
    for wrong in ((0.9, 0.9, 0.0, 0.0), (1.5, -0.5, 0.0, 0.0), (0.5, 0.5)):
        with pytest.raises(ValueError, match="they should be four that sum to 1"):
            EnCodecMixing(wrong)  # type: ignore[arg-type]
