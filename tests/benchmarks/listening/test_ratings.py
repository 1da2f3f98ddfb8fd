"""The key of a listening test, listeners' files held to it, and the results as files."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from codeclab.benchmarks.listening.design import MOST, ListeningTest, make_page, spread
from codeclab.benchmarks.listening.page import render
from codeclab.benchmarks.listening.ratings import read_folder, read_ratings, scores
from codeclab.benchmarks.listening.results import analyse, markdown, write_results
from codeclab.benchmarks.listening.screening import SCREENINGS


def test_a_test_is_read_back_and_named_by_all_that_it_is(mushra_test: ListeningTest, tmp_path: Path) -> None:
    mushra_test.save(tmp_path)
    assert ListeningTest.load(tmp_path) == mushra_test
    content = json.loads((tmp_path / "key.json").read_text())
    content["pages"][0]["stimuli"] |= dict.fromkeys(list(content["pages"][0]["stimuli"])[:1], 3)
    (tmp_path / "key.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="was changed since the test was prepared"):
        ListeningTest.load(tmp_path)
    with pytest.raises(ValueError, match="holds no listening test; `codeclab mushra prepare` makes one"):
        ListeningTest.load(tmp_path / "nowhere")


def test_a_scale_from_1_to_100(mushra_test: ListeningTest, mushra_file: Callable[..., str], tmp_path: Path) -> None:
    from_one = replace(mushra_test, lowest=1)
    assert from_one.id != mushra_test.id
    from_one.save(tmp_path)
    assert ListeningTest.load(tmp_path) == from_one
    text = mushra_file(100, 0, 40, 60).replace(mushra_test.id, from_one.id)
    with pytest.raises(ValueError, match=r"should be from 1 to 100, not 0"):
        read_ratings(text, from_one)
    read_ratings(mushra_file(100, 0, 40, 60), mushra_test)
    assert "quality from 1 to 100." in render(from_one)
    assert '"lowest": 1' in render(from_one)
    assert "quality from 0 to 100." in render(mushra_test)


def test_a_test_of_before_there_was_a_choice_of_scale_keeps_its_name(
    mushra_test: ListeningTest, tmp_path: Path
) -> None:
    mushra_test.save(tmp_path)
    content = json.loads((tmp_path / "key.json").read_text())
    del content["lowest"]
    (tmp_path / "key.json").write_text(json.dumps(content))
    assert ListeningTest.load(tmp_path) == mushra_test


def test_the_results_name_the_screening_and_a_missing_anchor(
    mushra_test: ListeningTest, mushra_file: Callable[..., str]
) -> None:
    ratings = [read_ratings(mushra_file(80, 95, 40, 60, listener=n), mushra_test) for n in (1, 2)]
    with pytest.raises(ValueError, match="no listener is left after screening"):
        analyse(ratings, mushra_test)
    result = analyse(ratings, mushra_test, SCREENINGS["dac"])
    assert result.counted == 2
    assert "Which listeners count: no screening, as in Improved RVQGAN (section 4.4)" in markdown(result)
    assert "This test had no low anchor" not in markdown(result)
    conditions = [replace(c, kind="system") if c.kind == "low anchor" else c for c in mushra_test.conditions]
    bare = replace(mushra_test, conditions=conditions)
    renamed = [read_ratings(mushra_file(95, 95, 40, 60).replace(mushra_test.id, bare.id), bare)]
    assert "This test had no low anchor; its figures cannot be compared with those of tests that have one." in markdown(
        analyse(renamed, bare)
    )


def test_systems_are_spread_evenly_and_every_pair_meets() -> None:
    assert spread([2, 3, 4], 2, Random(0)) == [[2, 3, 4]]
    assert spread(range(2, 12), 2, Random(0)) == [list(range(2, 12))]
    met: Counter[tuple[int, int]] = Counter()
    rng = Random(1)
    for _ in range(30):
        groups = spread(range(3, 23), 3, rng)
        assert sorted(index for group in groups for index in group) == list(range(3, 23))
        assert sorted(map(len, groups)) == [6, 7, 7]
        assert max(map(len, groups)) + 3 <= MOST
        met.update((a, b) for group in groups for a in group for b in group if a < b)
    assert len(met) == 20 * 19 // 2


def test_ids_say_nothing_about_what_they_are() -> None:
    rng = Random(0)
    firsts = [next(iter(make_page("c", "d", 1.0, [0, 1, 2, 3], rng).stimuli.values())) for _ in range(60)]
    assert set(firsts) == {0, 1, 2, 3}
    page = make_page("clip", "music", 1.0, [0, 1, 2], rng)
    assert all(len(name) == 12 for name in (page.id, page.reference, *page.stimuli))
    assert page.reference not in page.stimuli


BROKEN = {
    "it is not JSON": lambda text: text[:-1],
    "it is not a 'codeclab mushra ratings' file of version 1": lambda text: text.replace(
        "codeclab mushra ratings", "other"
    ),
    "it is of the test 'another', not of": lambda text: json.dumps(json.loads(text) | {"test": "another"}),
    "'listener' should be 16 hexadecimal digits": lambda text: json.dumps(json.loads(text) | {"listener": "../x"}),
    "'name' should be text of at most 80 letters": lambda text: json.dumps(json.loads(text) | {"name": "x" * 81}),
    "the file should have": lambda text: json.dumps(json.loads(text) | {"more": 1}),
    "'pages' should list at least one page": lambda text: json.dumps(json.loads(text) | {"pages": []}),
    "page 1 should have order, page, ratings, seconds; it has str": lambda text: json.dumps(
        json.loads(text) | {"pages": ["x"]}
    ),
    "is listed twice": lambda text: json.dumps(json.loads(text) | {"pages": 2 * json.loads(text)["pages"]}),
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_wrong_with_a_file_is_said(mushra_test: ListeningTest, mushra_file: Any, message: str) -> None:
    text = mushra_file(100, 20, 60, 70)
    assert read_ratings(text, mushra_test).called == f"Ann ({json.loads(text)['listener']})"
    with pytest.raises(ValueError, match=message):
        read_ratings(BROKEN[message](text), mushra_test)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda page: page.update(page="nowhere"), "page 1 is not a page of the test: 'nowhere'"),
        (lambda page: page.update(page=["x"]), "page 1 is not a page of the test"),
        (lambda page: page["ratings"].popitem(), "should have a rating for each of its 4 stimuli"),
        (lambda page: page.update(order=[]), "'order' should list its stimuli"),
        (lambda page: page.update(order=[[]]), "'order' should list its stimuli"),
        (lambda page: page.update(seconds=-1), "'seconds' should be a number from 0"),
        (lambda page: page["ratings"].update(dict.fromkeys(page["ratings"], 101)), "from 0 to 100, not 101"),
        (lambda page: page["ratings"].update(dict.fromkeys(page["ratings"], float("nan"))), "from 0 to 100, not nan"),
        (lambda page: page["ratings"].update(dict.fromkeys(page["ratings"], True)), "from 0 to 100, not True"),
        (lambda page: page["ratings"].update(dict.fromkeys(page["ratings"], "9")), "from 0 to 100, not '9'"),
    ],
)
def test_what_is_wrong_with_a_page_is_said(
    mushra_test: ListeningTest, mushra_file: Any, change: Any, message: str
) -> None:
    content = json.loads(mushra_file(100, 20, 60, 70))
    change(content["pages"][0])
    with pytest.raises(ValueError, match=message):
        read_ratings(json.dumps(content), mushra_test)


def test_wrong_files_are_named_and_a_copy_counts_once(
    mushra_test: ListeningTest, mushra_file: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "ratings"
    with pytest.raises(ValueError, match="holds no ratings; put the listeners' files there"):
        read_folder(tmp_path, mushra_test)
    folder.mkdir()
    text = mushra_file(100, 20, 60, 70)
    (folder / "one.json").write_text(text)
    (folder / "copy.json").write_text(text)
    (folder / ".half.json.tmp").write_text("{")
    assert len(read_folder(tmp_path, mushra_test)) == 1
    (folder / "other.json").write_text(mushra_file(90, 20, 60, 70))
    (folder / "broken.json").write_text("[]")
    with pytest.raises(ValueError, match="are wrong") as raised:
        read_folder(tmp_path, mushra_test)
    lines = str(raised.value).splitlines()
    assert lines[0] == "2 of 4 files are wrong; mend or remove them:"
    assert "broken.json: it is not a 'codeclab mushra ratings' file of version 1" in lines[1]
    assert "other.json: the listener 0000000000000001 is also that of copy.json, with other ratings" in lines[2]


def test_scores_are_of_the_conditions_behind_the_ids(mushra_test: ListeningTest, mushra_file: Any) -> None:
    result = scores([read_ratings(mushra_file(100, 20, 60, 70), mushra_test)], mushra_test)
    means = result.groupby("condition")["score"].mean().to_dict()
    assert means == {"Reference": 100, "Anchor, 3.5 kHz": 20, "A, 3 kbps": 60, "B, 6 kbps": 70}
    assert sorted(set(result["domain"])) == ["music", "speech"]


def test_results_say_who_was_screened_out_and_stand_in_files(
    mushra_test: ListeningTest, mushra_file: Any, tmp_path: Path
) -> None:
    files = [
        mushra_file(100, 20, 60, 70),
        mushra_file(95, 10, 40, 80, listener=2),
        mushra_file(50, 90, 99, 1, listener=3),
    ]
    results = analyse([read_ratings(text, mushra_test) for text in files], mushra_test)
    rendered = markdown(results)
    assert "| A, 3 kbps | 3 | 50.0 ± 18.4 | ± 127.1 | 50.0 ± 127.1 | 50.0 ± 127.1 |" in rendered
    assert "Ann (0000000000000003) was screened out: rated 2 of 2 hidden references below 90 and" in rendered
    assert f"Listening test {mushra_test.id}, 2 listeners, 1 screened out; 16 ratings, 2 of each stimulus." in rendered
    assert "EnCodec's tests have at least 10 ratings of each stimulus." in rendered
    assert "| A, 3 kbps | B, 6 kbps | -25.0 ± 190.6 | 2 | 0.5000 | 0.5000 | — |" in rendered
    paths = write_results(results, tmp_path)
    assert sorted(path.name for path in paths) == [
        *("pairs.csv", "results.csv", "results.md", "results.png", "scores.csv")
    ]
    (pair,) = csv.DictReader((tmp_path / "pairs.csv").read_text().splitlines())
    assert (pair["first"], pair["difference"], pair["p_holm"]) == ("A, 3 kbps", "-25.0", "0.5")
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="no listener is left after screening: Ann .* rated 2 of 2 hidden references"):
        analyse([read_ratings(mushra_file(50, 90, 99, 1), mushra_test)], mushra_test)
