import math

import pandas as pd
import pytest

from codeclab.benchmarks.evaluate.evaluation import CODEBOOK_COLUMNS
from codeclab.benchmarks.tables.agreement import agreement
from codeclab.benchmarks.tables.grid import kbps, notes
from codeclab.benchmarks.tables.row import Figures, RowResult
from codeclab.benchmarks.tables.table import Table, best, lines

NAN = math.nan


def table(rows: list[RowResult], metrics=("si_sdr",), ranked: bool = True) -> Table:
    return Table("t", "s", metrics, rows, ranked=ranked)


def test_published_figures_stand_beside_the_bitrate_they_hold_at(make_summary) -> None:
    summary = make_summary(("all", 7.75, "si_sdr", 1.0, 0.1, 9, 0), ("all", 2.67, "si_sdr", 0.5, 0.1, 9, 0))
    figures = {"si_sdr": 9.12}
    assert [(x.bitrate, x.published) for x in lines(table([RowResult.named("a", summary, published=figures)]))] == [
        (2.67, {}),
        (7.75, figures),
    ]
    at_label = lines(table([RowResult.named("a", summary, published=figures, bitrate=8.0)]))  # the paper rounds 7.75 up
    assert [(x.bitrate, x.published) for x in at_label] == [(2.67, {}), (7.75, figures)]
    low = lines(table([RowResult.named("a", summary, published=figures, bitrate=2.67)]))
    assert [(x.bitrate, x.published) for x in low] == [(2.67, figures), (7.75, {})]
    unmeasured = lines(table([RowResult.named("a", summary, published=figures, bitrate=24.0)]))
    assert [(x.bitrate, bool(x.scores), x.published) for x in unmeasured] == [
        (2.67, True, {}),
        (7.75, True, {}),
        (24.0, False, figures),
    ]
    assert [(x.bitrate, x.published) for x in lines(table([RowResult.named("a", None, published=figures)]))] == [
        (None, figures)
    ]


def test_the_best_is_marked_where_its_interval_overlaps_no_other(make_summary) -> None:
    def row(name: str, sdr: float, mel: float, bitrate: float = 6.0, ci: float = 0.1) -> RowResult:
        cells = (("all", bitrate, "si_sdr", sdr, ci, 9, 0), ("all", bitrate, "mel_distance", mel, ci, 9, 0))
        return RowResult.named(name, make_summary(*cells))

    # b is the best: a's intervals meet b's, c's do not. Nothing rivals the row at 24 kbps.
    rows = [row("a", 3.00, 1.2), row("b", 3.15, 1.1), row("c", 2.90, 1.4), row("alone", 99.0, 0.1, 24.0)]
    ranked = table(rows, ("si_sdr", "mel_distance"))
    marked = {(0, "si_sdr"), (1, "si_sdr"), (0, "mel_distance"), (1, "mel_distance")}
    assert best(ranked, lines(ranked)) == marked
    near = table([row("a", 3.0, 1.2), row("b", 3.1, 1.1), row("c", NAN, NAN)], ("si_sdr", "mel_distance"))
    assert best(near, lines(near)) == set()
    without = table([row("a", 3.0, 1.2, ci=NAN), row("b", 9.0, 0.1, ci=NAN)], ("si_sdr", "mel_distance"))
    assert best(without, lines(without)) == set()
    unranked = table(rows, ("si_sdr", "mel_distance"), ranked=False)
    assert best(unranked, lines(unranked)) == set()


def test_agreement_by_hand(make_summary) -> None:
    def row(name: str, ours: float, theirs: float | str | None) -> RowResult:
        figures = {} if theirs is None else {"si_sdr": theirs}
        return RowResult.named(name, make_summary(("all", 6.0, "si_sdr", ours, 0.1, 9, 0)), published=figures)

    rows = [
        row("a", 1.0, 5.99),
        row("b", 2.0, 7.35),
        row("c", 3.0, 6.67),
        row("same as a", 0.5, 5.99),
        row("tied with b", 2.0, 6.0),
        row("text", 9.0, "about 8"),
        row("none", 9.0, None),
        row("failed", NAN, 3.0),
        RowResult.named("not measured", None, published={"si_sdr": 2.0}),
    ]
    # Of the ten pairs of the first five rows, a and its double are equal in the paper. Kept: a<b, a<c, a<t, b>s, c>s,
    # t>s, c>t. Turned: b and c. Tied here: b and t.
    (finding,) = agreement(table(rows))
    assert (finding.metric, finding.concordant, finding.pairs, finding.chance) == ("si_sdr", 7, 9, 4.5)
    assert finding.text == "SI-SDR: found 7 of 9 of the paper's orderings (chance: 4.5)"
    assert agreement(table([row("a", 1.0, None), row("b", 2.0, 3.0)])) == []


def test_agreement_does_not_depend_on_the_metrics_direction(make_summary) -> None:
    def row(name: str, ours: float, theirs: float) -> RowResult:
        return RowResult.named(
            name,
            make_summary(("all", 6.0, "mel_distance", ours, 0.1, 9, 0)),
            published={"mel_distance": theirs},
        )

    (finding,) = agreement(table([row("a", 1.0, 0.9), row("b", 2.0, 1.1)], ("mel_distance",)))
    assert (finding.concordant, finding.pairs) == (1, 1)


def test_agreement_counts_domains_and_plotted_entropies_and_their_sum(make_summary) -> None:
    def row(name: str, speech: tuple[float, float], music: tuple[float, float], bits: list[float]) -> RowResult:
        ours = [("speech", 6.0, "si_sdr", speech[0], 0.1, 9, 0), ("music", 6.0, "si_sdr", music[0], 0.1, 9, 0)]
        theirs = [Figures({"si_sdr": speech[1]}, 6, domain="speech"), Figures({"si_sdr": music[1]}, 6, domain="music")]
        lines = [("all", 6.0, str(k), 16, 1.0, own, own / 4, 9) for k, own in enumerate(bits[:2], 1)]
        codes = pd.DataFrame([*lines, ("all", 6.0, "all", 32, 1.0, 9.0, 1.0, 9)], columns=CODEBOOK_COLUMNS)
        return RowResult.named(name, make_summary(*ours), figures=theirs, codebooks=codes, entropies=bits[2:])

    rows = [
        row("a", (1.0, 5.0), (4.0, 5.0), [1.0, 2.0, 9.0, 9.5]),
        row("b", (2.0, 6.0), (3.0, 7.0), [3.0, 2.5, 9.9, None]),
    ]
    by_domain, entropy, together = agreement(table(rows))
    # Within speech kept, within music turned; never across.
    assert (by_domain.metric, by_domain.concordant, by_domain.pairs) == ("si_sdr", 1, 2)
    # a1 < a2 < b1 in the paper, where b2 is not told; here 1, 2 and 3.
    assert (entropy.concordant, entropy.pairs) == (3, 3)
    assert entropy.text == "Entropy of a codebook: found 3 of 3 of the paper's orderings (chance: 1.5)"
    assert together.text == "All figures: found 4 of 5 of the paper's orderings (chance: 2.5)"


def test_refusals(make_summary) -> None:
    with pytest.raises(ValueError, match="no metric mos"):
        table([], ("mos",))
    with pytest.raises(ValueError, match="'a' is used twice"):
        table([RowResult.named("a"), RowResult.named("b"), RowResult.named("a")])


def test_figures_at_several_bitrates_and_in_domains(make_summary) -> None:
    summary = make_summary(
        *(("all", rate, "si_sdr", rate, 0.1, 9, 0) for rate in (3.0, 6.0)),
        *(("speech", rate, "si_sdr", 2 * rate, 0.1, 4, 0) for rate in (3.0, 6.0)),
        ("all", 6.0, "latency", 13.3, NAN, 1, 0),
    )
    figures = [
        Figures({"si_sdr": 1.0}, 3.0, "3 kbps"),
        Figures({"latency": 13.0}, 6.0),
        Figures({"mushra": "83.1 ± 2.7"}, 6.0, None, "clean speech"),
        Figures({"si_sdr": 9.0}, 24.0),
    ]
    row = RowResult.named("a", summary, figures=figures)
    figures_table = Table(
        "t",
        "s",
        ["si_sdr"],
        [row, RowResult.named("Reference", figures=[Figures({"mushra": 95.5}, domain="speech")])],
    )
    figures_table.columns = ["latency", "mushra"]
    assert [(x.bitrate, x.label, x.published, sorted(x.scores)) for x in lines(figures_table)] == [
        (3.0, "3 kbps", {"si_sdr": 1.0}, ["si_sdr"]),
        (6.0, None, {"latency": 13.0}, ["latency", "si_sdr"]),
        (24.0, None, {"si_sdr": 9.0}, []),
    ]
    assert figures_table.domains == ["speech", "clean speech"]
    assert [(x.row.name, x.bitrate, x.published) for x in lines(figures_table, "speech")] == [
        ("a", 3.0, {}),
        ("a", 6.0, {}),
        ("Reference", None, {"mushra": 95.5}),
    ]
    assert [(x.bitrate, x.published) for x in lines(figures_table, "clean speech")] == [(6.0, {"mushra": "83.1 ± 2.7"})]
    assert figures_table.own_columns == ["latency"]
    assert figures_table.published_only == ["mushra"]
    with pytest.raises(ValueError, match="unknown column 'weight'; known: sample_rate"):
        Table("t", "s", [], [], columns=["weight"])


def test_a_baselines_figures_stand_where_they_were_asked_for(make_summary) -> None:
    """An encoder of variable bitrate uses 7.1 kbps where 6 are requested."""
    summary = make_summary(("all", 7.1, "si_sdr", 1.0, 0.1, 9, 0), ("all", 12.9, "si_sdr", 2.0, 0.1, 9, 0))
    row = RowResult.named(
        "Opus", summary, published={"si_sdr": 2.45}, bitrate=6.0, requested={7.1: 6.0, 12.9 + 1e-14: 12.0}
    )
    assert [(x.bitrate, x.published) for x in lines(table([row]))] == [(7.1, {"si_sdr": 2.45}), (12.9, {})]
    assert [kbps(line) for line in lines(table([row]))] == ["7.1 (6 requested)", "12.9 (12 requested)"]
    assert notes(table([row]))[0].endswith(
        "kbps are nominal; for baselines and for codecs that cut audio into segments, kbps are the rates actually used."
    )


def test_agreement_counts_pairs_beyond_the_margin_at_every_bitrate(make_summary) -> None:
    def row(name: str, *cells: tuple[float, float, float]) -> RowResult:
        summary = make_summary(*(("all", rate, "si_sdr", ours, 0.1, 9, 0) for rate, ours, _ in cells))
        return RowResult.named(name, summary, figures=[Figures({"si_sdr": theirs}, rate) for rate, _, theirs in cells])

    rows = [row("a", (3.0, 1.0, 4.0), (6.0, 2.0, 8.0)), row("b", (3.0, 1.5, 4.05), (6.0, 0.5, 6.0))]
    everything = table(rows)
    # a3<b3 kept, a3<b6 turned, a6>b3 kept, a6>b6 kept; a3<a6 and b3<b6 are of one row each.
    (finding,) = agreement(everything)
    assert (finding.concordant, finding.pairs) == (3, 4)
    everything.margin = {"si_sdr": 0.1}  # a3 and b3 are 0.05 apart
    (finding,) = agreement(everything)
    assert (finding.concordant, finding.pairs, finding.chance) == (2, 3, 1.5)
    assert finding.text == "SI-SDR: found 2 of 3 of the paper's orderings by more than 0.1 dB (chance: 1.5)"


def test_agreement_counts_no_settings(make_summary) -> None:
    def row(name: str, *rate: float) -> RowResult:
        summary = make_summary(("all", 6.0, "sample_rate", rate[0], NAN, 1, 0))
        return RowResult.named(name, summary, figures=[Figures({"sample_rate": rate[0]}, 6.0)])

    assert agreement(Table("t", "s", [], [row("a", 24.0), row("b", 44.1)], columns=["sample_rate"])) == []


def test_nothing_is_bold_among_means_over_different_files(make_summary) -> None:
    def ranked(failed: int) -> set[tuple[int, str]]:
        rows = [
            RowResult.named(name, make_summary(("all", 6.0, "si_sdr", mean, 0.3, 24 - missing, missing)))
            for name, mean, missing in (("a", 5.4, 0), ("b", 9.9, failed))
        ]
        ranking = Table("t", "s", ["si_sdr"], rows, ranked=True)
        return best(ranking, lines(ranking))

    assert ranked(0) == {(1, "si_sdr")}
    assert ranked(12) == set()


def test_agreement_counts_figures_with_a_mark_or_an_interval_and_columns_of_a_listening_test(make_summary) -> None:
    def row(name: str, ours: float, theirs: str) -> RowResult:
        cells = [("all", 6.0, metric, ours, 0.1, 9, 0) for metric in ("si_sdr", "mushra")]
        return RowResult.named(
            name, make_summary(*cells), published={"si_sdr": f"{theirs}°", "mushra": f"{theirs} (1 to 90)"}
        )

    listening_table = Table("t", "s", ["si_sdr"], [row("a", 1.0, "2.5"), row("b", 2.0, "13.1")], columns=["mushra"])
    assert [(finding.metric, finding.concordant, finding.pairs) for finding in agreement(listening_table)] == [
        ("si_sdr", 1, 1),
        ("mushra", 1, 1),
        ("all figures", 2, 2),
    ]
    assert agreement(listening_table)[1].text == "MUSHRA: found 1 of 1 of the paper's orderings (chance: 0.5)"
