"""A quantizer that joins after the autoencoder has learnt, its codebooks started from many batches."""

import pandas as pd
import pytest
import torch

from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.residual_vq import ResidualVQ
from codeclab.quantizers.usage import CodebookCounts

LATE = {"model__quantizer_start": 2, "model__quantizer_start_frames": 600, "model__discriminators": []}


def test_until_then_encoder_and_decoder_learn_alone(watched, differing):
    cli, watch = watched("encodec_24khz", 4, **LATE)
    quantizer = "codec.quantizer"
    assert not differing(watch.states[0], watch.states[2], quantizer)
    assert differing(watch.states[0], watch.states[2], "codec.encoder")
    assert differing(watch.states[0], watch.states[2], "codec.decoder")
    assert differing(watch.states[2], watch.states[3], quantizer)
    rows = pd.read_csv(cli.folder.metrics)
    assert rows["train/bitrate"].tolist()[:2] == [0, 0]
    assert (rows["train/bitrate"][2:] > 0).all()
    assert rows["train/commitment"].isna().tolist() == [True, True, False, False]


def test_the_codec_is_measured_without_it_and_is_no_candidate_for_the_best(build):
    cli = build("encodec_24khz", 4, trainer__limit_val_batches=1, trainer__val_check_interval=2, **LATE)
    cli.execute()
    scores = (
        pd.read_csv(cli.folder.metrics).groupby("step")[["valid/mel_distance@unquantized", "valid/mel_distance"]].max()
    )
    assert scores.notna().loc[2].tolist() == [True, False]
    assert scores.notna().loc[4].tolist() == [False, True]
    assert cli.folder.best.is_file()
    assert torch.load(cli.folder.best, weights_only=True)["global_step"] == 4


def test_a_run_stopped_before_the_start_gives_the_same_codebooks(build, monkeypatch):
    whole = build("encodec_24khz", 4, name="whole", **LATE)
    whole.execute()

    class StoppedError(Exception):
        pass

    cut = build("encodec_24khz", 4, name="cut", trainer__val_check_interval=1, **LATE)
    step = type(cut.model).training_step

    def stop(self, batch, batch_idx):
        if int(batch["batch"]) == 2:
            raise StoppedError
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(type(cut.model), "training_step", stop)
        with pytest.raises(StoppedError):
            cut.execute()
    again = build("encodec_24khz", 4, name="cut", trainer__val_check_interval=1, **LATE)
    again.execute()
    for name, value in whole.model.codec.state_dict().items():
        assert torch.equal(value, again.model.codec.state_dict()[name]), name


@pytest.mark.parametrize(
    "quantizer",
    [ResidualVQ(16, 4, 64), FactorizedVQ(16, 4, 64, codebook_dim=8, kmeans_init=True)],
    ids=["ResidualVQ", "FactorizedVQ"],
)
def test_from_fifty_frames_an_entry_all_codebooks_are_in_use(quantizer):
    torch.manual_seed(0)
    mixing = torch.randn(16, 16)
    frames = torch.randn(64 * 50, 16) @ mixing
    quantizer.eval().start_from(frames, 150)
    counts = CodebookCounts(quantizer.codebook_sizes)
    counts.update(quantizer.encode((torch.randn(2000, 16) @ mixing).T[None]))
    assert (counts.entropy() > 5).all(), counts.entropy()


def test_a_codebook_started_from_many_batches_moves_as_one_started_from_one():
    """Its counts are those of a batch, so that the running average has the weight of one and not of hundreds."""
    frames = torch.randn(5000, 8)
    quantizer = ResidualVQ(8, 1, 32)
    quantizer.start_from(frames, 100)
    assert float(quantizer.codebooks[0].counts.sum()) == pytest.approx(100, rel=1e-4)
    assert int(quantizer.codebooks[0].updates) == 1
    before = quantizer.codebooks[0].entries.clone()
    quantizer.train()(frames[:100].T[None])
    moved = (quantizer.codebooks[0].entries - before).norm(dim=1) / before.norm(dim=1)
    assert 0 < float(moved.median()) < 0.2


def test_an_entry_is_replaced_below_its_share_of_the_mean():
    def left(share: float) -> int:
        torch.manual_seed(0)
        quantizer = ResidualVQ(2, 1, 64, decay=0.9, dead_share=share)
        # Half the entries get all the vectors: the others' counts fall by a tenth a batch.
        quantizer.start_from(torch.randn(3200, 2), 32)
        near = quantizer.codebooks[0].entries[:32].clone()
        start = quantizer.codebooks[0].entries[32:].clone()
        quantizer.train()
        for _ in range(12):
            quantizer((near + 1e-3 * torch.randn_like(near)).T[None])
        same = (quantizer.codebooks[0].entries[32:] - start).norm(dim=1) < 1e-3
        return int(same.sum())

    assert left(0.1) > left(0.5)


@pytest.mark.parametrize("name", ["quantizer_start", "quantizer_start_frames"])
def test_a_negative_start_is_refused(name, build):
    with pytest.raises(ValueError, match=f"{name} is -1; it should be 0 or more"):
        build("encodec_24khz", **{f"model__{name}": -1})


def test_codebooks_that_have_learnt_do_not_start_again():
    quantizer = ResidualVQ(8, 2, 16)
    quantizer.start_from(torch.randn(800, 8), 100)
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer.start_from(5 + torch.randn(800, 8), 100)
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_a_quantizer_that_would_never_join_is_refused(build):
    with pytest.raises(ValueError, match=r"quantizer_start is 5 and max_steps 5: the quantizer would never join"):
        build("encodec_24khz", 5, model__quantizer_start=5)
