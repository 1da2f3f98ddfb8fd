from types import SimpleNamespace

import pytest
import torch

from codeclab.experiments.train.rate_sampling import AllCodebooks, CodebookDropout, PerBatchBandwidth

CODEBOOKS = {1.5: 2, 3.0: 4, 6.0: 8, 12.0: 16, 24.0: 32}
ITEMS = torch.arange(8)


@pytest.fixture
def codec():
    return SimpleNamespace(
        bitrates=list(CODEBOOKS), n_codebooks_for=CODEBOOKS.__getitem__, quantizer=SimpleNamespace(n_codebooks=32)
    )


def test_all_codebooks_means_none(codec):
    AllCodebooks().check(codec)
    assert AllCodebooks().sample(0, 0, ITEMS, codec) is None


def test_a_batch_has_one_bandwidth_and_each_is_as_likely(codec):
    policy = PerBatchBandwidth(list(CODEBOOKS))
    draws = [policy.sample(7, batch, ITEMS, codec) for batch in range(1000)]
    assert set(draws) == set(CODEBOOKS.values())
    assert all(150 < draws.count(count) < 250 for count in CODEBOOKS.values())
    assert [CODEBOOKS[policy.bitrates[policy.index(7, batch)]] for batch in range(1000)] == draws


def test_bandwidth_depends_on_seed_and_batch_alone(codec):
    policy = PerBatchBandwidth([1.5, 3.0, 6.0])
    draws = [policy.sample(7, batch, ITEMS, codec) for batch in range(50)]
    torch.randn(5)
    assert [PerBatchBandwidth([1.5, 3.0, 6.0]).sample(7, batch, ITEMS[4:], codec) for batch in range(50)] == draws
    assert [policy.sample(8, batch, ITEMS, codec) for batch in range(50)] != draws


def test_bitrates_the_codec_lacks_are_refused_with_those_it_has(codec):
    PerBatchBandwidth([1.5, 24.0]).check(codec)
    with pytest.raises(ValueError, match=r"not offer \[2.0, 48.0\] kbps; it offers 1.5, 3, 6, 12, 24"):
        PerBatchBandwidth([1.5, 2.0, 48.0]).check(codec)


def test_bitrates_within_a_percent_are_offered(codec):
    PerBatchBandwidth([6.05]).check(codec)
    with pytest.raises(ValueError, match="6.1"):
        PerBatchBandwidth([6.1]).check(codec)


@pytest.mark.parametrize("bitrates", [[], [3.0, 3.0]])
def test_lists_that_are_no_choice_are_refused(bitrates):
    with pytest.raises(ValueError, match="without repetition"):
        PerBatchBandwidth(bitrates)


def test_dropout_shares(codec):
    drawn = torch.cat([CodebookDropout(0.5).sample(3, batch, ITEMS, codec) for batch in range(250)])
    assert drawn.dtype == torch.int64
    assert int(drawn.min()) == 1
    assert int(drawn.max()) == 32
    # Half keep all, and a 32nd of the others draw all too.
    assert float((drawn == 32).float().mean()) == pytest.approx(0.5 + 0.5 / 32, abs=0.04)
    dropped = drawn[drawn < 32].float()
    assert float(dropped.mean()) == pytest.approx(16, abs=1)


def test_dropout_never_and_always(codec):
    assert CodebookDropout(0.0).sample(0, 0, ITEMS, codec).tolist() == [32] * 8
    drawn = torch.cat([CodebookDropout(1.0).sample(0, batch, ITEMS, codec) for batch in range(50)])
    assert float(drawn.float().mean()) == pytest.approx(16.5, abs=2)
    codec.quantizer.n_codebooks = 2
    drawn = torch.cat([CodebookDropout(1.0).sample(0, batch, ITEMS, codec) for batch in range(50)])
    assert float((drawn == 1).float().mean()) == pytest.approx(0.5, abs=0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        CodebookDropout(1.5)


def test_dropout_of_an_item_is_the_same_wherever_it_is(codec):
    policy = CodebookDropout(0.5)
    for batch in range(10):
        whole = policy.sample(1, batch, ITEMS, codec)
        halves = [policy.sample(1, batch, ITEMS[:4], codec), policy.sample(1, batch, ITEMS[4:], codec)]
        assert torch.equal(torch.cat(halves), whole)
    assert len({tuple(policy.sample(1, batch, ITEMS, codec).tolist()) for batch in range(10)}) == 10
