"""Screening, means and paired tests of a listening test, against cases worked by hand and SciPy."""

import itertools
import math

import numpy as np
import pytest
from pandas import DataFrame
from scipy import stats

from codeclab.benchmarks.listening.analysis import holm, means, pairs, signed_rank
from codeclab.benchmarks.listening.design import LOW_ANCHOR, REFERENCE, SYSTEM, Condition
from codeclab.benchmarks.listening.ratings import SCORE_COLUMNS
from codeclab.benchmarks.listening.screening import SCREENINGS, screen

CONDITIONS = [
    Condition("Reference", REFERENCE),
    Condition("Anchor, 3.5 kHz", LOW_ANCHOR),
    Condition("A, 3 kbps", SYSTEM, 3.0),
    Condition("B, 6 kbps", SYSTEM, 6.0),
    Condition("C, 12 kbps", SYSTEM, 12.0),
]


def table(listener: str, *clips: tuple[float, ...]) -> list[tuple[object, ...]]:
    """Ratings of one listener: of each clip, one for each condition; clips are of two domains in turn."""
    return [
        (
            listener,
            f"p{number}",
            f"clip{number}",
            ("music", "speech")[number % 2],
            condition.name,
            condition.kind,
            score,
        )
        for number, clip in enumerate(clips)
        for condition, score in zip(CONDITIONS, clip, strict=True)
    ]


def scores(*rows: list[tuple[object, ...]]) -> DataFrame:
    return DataFrame([row for own in rows for row in own], columns=SCORE_COLUMNS)


def listener(name: str, references: list[float], anchors: list[float]) -> list[tuple[object, ...]]:
    return table(name, *((high, low, 50, 50, 50) for high, low in zip(references, anchors, strict=True)))


def test_screening_is_encodecs_at_its_very_edges() -> None:
    """Reference below 90 in at least 20 % of the cases; low anchor above 80 in more than 50 %."""
    result = screen(
        scores(
            listener("at-the-edge", [90] * 5, [80] * 5),
            listener("one-in-five", [89, 100, 100, 100, 100], [0] * 5),
            listener("one-in-six", [89, 100, 100, 100, 100, 100], [0] * 6),
            listener("half-of-anchors", [100] * 4, [81, 81, 80, 0]),
            listener("most-anchors", [100] * 5, [81, 81, 81, 80, 0]),
            listener("both", [10] * 2, [90] * 2),
        )
    )
    assert {one.listener: one.reason for one in result} == {
        "at-the-edge": None,
        "one-in-five": "rated 1 of 5 hidden references below 90",
        "one-in-six": None,
        "half-of-anchors": None,
        "most-anchors": "rated 3 of 5 low anchors above 80",
        "both": "rated 2 of 2 hidden references below 90 and rated 2 of 2 low anchors above 80",
    }
    assert result[1].reference_below == 0.2
    assert result[4].anchor_above == 0.6


def test_other_screenings_and_tests_without_a_low_anchor() -> None:
    rows = scores(
        listener("three-in-twenty", [89] * 3 + [100] * 17, [90] * 20),
        listener("four-in-twenty", [89] * 4 + [100] * 16, [0] * 20),
    )
    reasons = {name: [one.reason for one in screen(rows, rule)] for name, rule in SCREENINGS.items()}
    assert reasons == {
        "encodec": ["rated 20 of 20 low anchors above 80", "rated 4 of 20 hidden references below 90"],
        "dac": [None, None],
        "bs1534": [None, "rated 4 of 20 hidden references below 90"],
    }
    result = screen(rows[rows["kind"] != LOW_ANCHOR])
    assert [one.reason for one in result] == [None, "rated 4 of 20 hidden references below 90"]
    assert math.isnan(result[0].anchor_above)


def test_means_by_hand() -> None:
    result = means(
        scores(
            table("x", (100, 10, 40, 60, 80), (100, 20, 50, 70, 90)),
            table("y", (90, 0, 30, 50, 80), (100, 10, 40, 60, 70)),
        ),
        CONDITIONS,
    ).set_index(["condition", "domain"])
    line = result.loc[("A, 3 kbps", "all")]
    assert (line["mean"], line["n"], line["listeners"], line["bitrate_kbps"]) == (40.0, 4, 2, 3.0)
    # 40, 50, 30 and 40 deviate by a root of 200 / 3, and t(0.975, 3) is 3.182446.
    assert line["ci95"] == pytest.approx(3.182446 * math.sqrt(200 / 3) / 2, rel=1e-6)
    # The listeners' means are 45 and 35, and t(0.975, 1) is 12.706205.
    assert line["ci95_listeners"] == pytest.approx(12.706205 * math.sqrt(50) / math.sqrt(2), rel=1e-6)
    assert result.loc[("A, 3 kbps", "music"), "mean"] == 35.0
    assert result.loc[("A, 3 kbps", "speech"), "mean"] == 45.0
    assert result.loc[("Reference", "all"), "mean"] == 97.5


def test_clips_without_domains_have_one_mean_for_each_condition() -> None:
    ratings = scores(listener("one", [100, 90], [0, 10])).assign(domain="all")
    result = means(ratings, CONDITIONS)
    assert list(result["condition"]) == [condition.name for condition in CONDITIONS]
    assert list(result["n"]) == [2] * len(CONDITIONS)


def test_the_signed_rank_test_counts_all_signs() -> None:
    """Without ties the p value is the share of the 2^n signs whose statistic is as extreme."""
    differences = np.array([1.0, -2.0, 3.0, 4.0, 5.0, 6.0])
    ranks = np.arange(1, 7)
    observed = ranks[differences > 0].sum()
    sums = [
        sum(rank for rank, up in zip(ranks, signs, strict=True) if up) for signs in itertools.product((0, 1), repeat=6)
    ]
    extreme = sum(abs(total - 10.5) >= abs(observed - 10.5) for total in sums)
    assert signed_rank(differences) == pytest.approx(extreme / 64)
    # Zeros say nothing about a direction: Wilcoxon leaves them out.
    assert signed_rank(np.concatenate([differences, np.zeros(5)])) == pytest.approx(extreme / 64)
    assert signed_rank(np.zeros(4)) == 1.0
    assert signed_rank(np.array([])) == 1.0


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.013 x 3 (not below the one before), 0.03 x 2, 0.6 x 1."""
    assert holm([0.03, 0.01, 0.6, 0.013]) == pytest.approx([0.06, 0.04, 0.6, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_pairs_are_tested_on_the_listeners_mean_differences() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(9):
        easy = rng.normal(0, 12)  # of the listener; it cancels in the differences
        clips = []
        for _ in range(6):
            a, b = 40 + easy + rng.normal(0, 4), 52 + easy + rng.normal(0, 4)
            clips.append((100, 10, round(a, 3), round(b, 3), round(b + rng.normal(0, 4), 3)))
        rows.append(table(f"listener{number}", *clips))
    result = pairs(scores(*rows), CONDITIONS)
    assert [(pair.first[0], pair.second[0]) for pair in result] == [("A", "B"), ("A", "C"), ("B", "C")]
    wide = scores(*rows).pivot_table(index="listener", columns="condition", values="score")
    expected = [stats.wilcoxon(wide[pair.first], wide[pair.second], zero_method="wilcox").pvalue for pair in result]
    assert [pair.p for pair in result] == pytest.approx(expected)
    assert [pair.adjusted for pair in result] == pytest.approx(holm(expected))
    assert [pair.better for pair in result] == ["B, 6 kbps", "C, 12 kbps", None]
    assert result[0].difference.n == 9
    own = stats.ttest_rel(wide["A, 3 kbps"], wide["B, 6 kbps"]).confidence_interval(0.95)
    assert result[0].difference.mean + result[0].difference.half_width == pytest.approx(own.high)


def test_equal_systems_are_found_different_as_rarely_as_promised() -> None:
    """Each listener prefers one of two equal systems; 12 clips each were taken for as many independent ratings."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        rows = []
        for number in range(10):
            taste = rng.normal(0, 5)
            clips = [(100, 10, 50 + rng.normal(0, 5), 50 + taste + rng.normal(0, 5), 0) for _ in range(12)]
            rows.append(table(f"listener{number}", *clips))
        (pair,) = pairs(scores(*rows), [one for one in CONDITIONS if not one.name.startswith("C")])
        found += pair.p < 0.05
    assert 2 <= found <= 20


def test_a_listener_who_heard_only_one_of_two_is_not_in_their_pair() -> None:
    whole, half = table("x", (100, 10, 40, 60, 80)), table("y", (100, 10, 0, 60, 80))
    result = pairs(scores(whole, [row for row in half if row[4] != "A, 3 kbps"]), CONDITIONS)
    assert [pair.difference.n for pair in result] == [1, 1, 2]
    assert result[0].difference.mean == -20
