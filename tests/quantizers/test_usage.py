import math

import pytest
import torch

from codeclab.quantizers.usage import CodebookCounts, codebook_statistics


def test_statistics_worked_by_hand():
    # Codebook 0: shares 1/2, 1/4, 1/4 of 4 entries. Codebook 1: always the same of 8.
    codes = torch.tensor([[[0, 0, 1, 2], [5, 5, 5, 5]]])
    statistics = codebook_statistics(codes, [4, 8])
    assert statistics["entropy"].tolist() == pytest.approx([1.5, 0.0], abs=1e-6)
    assert statistics["perplexity"].tolist() == pytest.approx([2**1.5, 1.0])
    assert statistics["usage"].tolist() == [0.75, 0.125]


def test_statistics_are_of_the_codebooks_in_use():
    codes = torch.tensor([[[0, 1], [2, 2], [-1, -1]], [[0, 1], [-1, -1], [-1, -1]]])
    statistics = codebook_statistics(codes, [4, 4, 4, 4])
    assert statistics["entropy"].tolist() == pytest.approx([1.0, 0.0], abs=1e-6)
    assert statistics["usage"].tolist() == [0.5, 0.25]


def test_uniform_codes_are_fully_efficient():
    counts = CodebookCounts([4, 4])
    counts.update(torch.arange(4).expand(3, 2, 4))
    assert counts.bitrate_efficiency() == pytest.approx(1.0)


def test_counts_add_up_over_batches_and_leave_absent_codes_out():
    counts = CodebookCounts([4, 8, 4])
    counts.update(torch.tensor([[[0, 0], [3, 3]], [[1, 2], [-1, -1]]]))
    counts.update(torch.tensor([[[0, 0, 1, 2]]]))
    assert counts.histograms[0].tolist()[:4] == [4, 2, 2, 0]
    assert counts.histograms[1].sum() == 2
    assert counts.entropy()[:2].tolist() == pytest.approx([1.5, 0.0], abs=1e-6)
    assert bool(counts.entropy()[2].isnan())
    assert bool(counts.usage()[2].isnan())
    assert counts.bitrate_efficiency() == pytest.approx(1.5 / (2 + 3))


def test_nothing_counted_has_no_efficiency():
    assert math.isnan(CodebookCounts([4]).bitrate_efficiency())


def test_codes_beyond_the_sizes_are_refused():
    with pytest.raises(ValueError, match="values from 4 to 4"):
        CodebookCounts([4]).update(torch.full((1, 1, 2), 4))
    with pytest.raises(ValueError, match="2 codebooks"):
        CodebookCounts([4]).update(torch.zeros(1, 2, 2, dtype=torch.int64))
