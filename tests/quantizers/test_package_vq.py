"""Quantizers of ``vector-quantize-pytorch`` behind our contract: what they compute is the package's own."""

import sys

import pytest
import torch
import vector_quantize_pytorch as package

from codeclab.quantizers.base import ABSENT
from codeclab.quantizers.package_vq import LOOKUPS, PackageVQ

D, K = 6, 3
ARGUMENTS = {
    "VectorQuantize": {"codebook_dim": 4, "use_cosine_sim": True},
    "SimVQ": {"rotation_trick": False},
    "FSQ": {"levels": [4, 4]},
    "LFQ": {},
    "LatentQuantize": {"levels": [4, 4]},
}


@pytest.fixture
def latent() -> torch.Tensor:
    return torch.randn(3, D, 20, generator=torch.Generator().manual_seed(1))


def built(name: str, n_codebooks: int = K) -> PackageVQ:
    return PackageVQ(D, n_codebooks, name, 16, ARGUMENTS[name])


@pytest.mark.parametrize("name", LOOKUPS)
@pytest.mark.parametrize("training", [True, False])
def test_one_stage_is_the_packages(name: str, training: bool, latent: torch.Tensor) -> None:
    sizes = {} if "levels" in ARGUMENTS[name] else {"codebook_size": 16}
    theirs = getattr(package, name)(dim=D, **sizes, **ARGUMENTS[name]).train(training)
    ours = built(name, 1).train(training)
    ours.stages[0].load_state_dict(theirs.state_dict())
    given = [latent.clone().requires_grad_() for _ in range(2)]
    turned = name == "LatentQuantize"
    out = ours(given[0])
    quantized, indices, *loss = theirs(given[1] if turned else given[1].transpose(1, 2))
    torch.testing.assert_close(out.latent, quantized if turned else quantized.transpose(1, 2))
    assert torch.equal(out.codes[:, 0], indices.long())
    their_loss = loss[0].sum() if loss else torch.zeros(())
    torch.testing.assert_close(out.losses["auxiliary"], their_loss)
    (out.latent.square().sum() + out.losses["auxiliary"]).backward()
    (quantized.square().sum() + their_loss).backward()
    torch.testing.assert_close(given[0].grad, given[1].grad)
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.stages[0].state_dict()[key], value)


def test_stages_are_the_packages_residual_vq(latent: torch.Tensor) -> None:
    theirs = package.ResidualVQ(dim=D, codebook_size=16, num_quantizers=K)
    ours = PackageVQ(D, K, codebook_size=16)
    for ours_stage, layer in zip(ours.stages, theirs.layers, strict=True):
        ours_stage.load_state_dict(layer.state_dict())
    given = [latent.clone().requires_grad_() for _ in range(2)]
    out, (quantized, indices, losses) = ours(given[0]), theirs(given[1].transpose(1, 2))
    torch.testing.assert_close(out.latent, quantized.transpose(1, 2))
    assert torch.equal(out.codes, indices.transpose(1, 2))
    torch.testing.assert_close(out.losses["auxiliary"], losses.sum())
    (out.latent.square().sum() + out.losses["auxiliary"]).backward()
    (quantized.square().sum() + losses.sum()).backward()
    torch.testing.assert_close(given[0].grad, given[1].grad)


@pytest.mark.parametrize("name", LOOKUPS)
def test_codes_decode_to_the_latent_at_every_number_of_codebooks(name: str, latent: torch.Tensor) -> None:
    quantizer = built(name).eval()
    for n_codebooks in (None, 1, torch.tensor([1, 3, 2])):
        out = quantizer(latent, n_codebooks)
        torch.testing.assert_close(quantizer.decode(out.codes), out.latent)
        assert torch.equal(quantizer.encode(latent, n_codebooks), out.codes)
    assert out.codes[0, 1:].unique().tolist() == [ABSENT]
    assert out.bits.tolist() == [4.0, 12.0, 8.0]
    assert quantizer.codebook_sizes == [16] * K


@pytest.mark.parametrize("name", LOOKUPS)
def test_encoding_while_training_learns_nothing(name: str, latent: torch.Tensor) -> None:
    quantizer = built(name)
    before = {key: value.clone() for key, value in quantizer.state_dict().items()}
    quantizer.encode(latent)
    assert quantizer.training
    assert all(module.training for module in quantizer.modules())
    assert all(torch.equal(value, before[key]) for key, value in quantizer.state_dict().items())


def test_a_stage_counts_by_the_share_of_items_that_use_it(latent: torch.Tensor) -> None:
    quantizer = built("SimVQ").eval()
    with torch.no_grad():
        whole = [float(quantizer(latent, count).losses["auxiliary"]) for count in (1, 2, 3)]
        mixed = float(quantizer(latent, torch.tensor([1, 3, 1])).losses["auxiliary"])
    assert mixed == pytest.approx(whole[0] + (whole[2] - whole[0]) / 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "ResidualVQ"}, "name is 'ResidualVQ'; .* are: VectorQuantize, .* one of these and n_codebooks"),
        ({"arguments": {"levels": 3}}, r"refuses VectorQuantize\(dim=128, codebook_size=1024, levels=3\)"),
        ({"name": "LFQ", "codebook_size": 12}, "refuses LFQ.*must be a power of 2"),
        ({"arguments": {"heads": 2}}, "heads is 2; it should be 1: use n_codebooks for several codebooks"),
        ({"n_codebooks": 0}, "n_codebooks 0"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PackageVQ(**changes)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", None)
    with pytest.raises(ValueError, match=r"pip install 'codeclab\[vq\]'"):
        PackageVQ()
