"""What every quantizer promises that can be used with fewer of its codebooks."""

import pytest
import torch

from codeclab.experiments.contracts.quantizer import QuantizerContract
from codeclab.quantizers.base import ABSENT
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.finite_scalar import pack, unpack
from codeclab.quantizers.fsq import FSQ
from codeclab.quantizers.residual_vq import ResidualVQ

D, K, SIZE = 6, 4, 16
QUANTIZERS = {
    "residual": lambda: ResidualVQ(D, K, SIZE),
    "factorized": lambda: FactorizedVQ(D, K, SIZE),
    "factorized, by distance": lambda: FactorizedVQ(D, K, SIZE, normalize=False, simvq=True, gradient="rotation"),
    "factorized, restarted": lambda: FactorizedVQ(D, K, SIZE, dead_threshold=2.0),
    "finite scalar": lambda: FSQ(D, K, levels=[4, 4], pca_init=True),
    "finite scalar, grouped": lambda: FSQ(D, K, levels=[4, 4], groups=2, pca_init=True),
    "finite scalar, nested": lambda: FSQ(D, K, levels=[4, 4], groups=2, residual="nested"),
}


@pytest.fixture(params=QUANTIZERS)
def quantizer(request):
    built = QUANTIZERS[request.param]()
    built(torch.randn(4, D, 100))
    return built.eval()


@pytest.fixture
def latent():
    return torch.randn(3, D, 20)


class TestContract(QuantizerContract):
    """The contract over settings of which the defaults say nothing."""

    @pytest.fixture(autouse=True)
    def _take(self, quantizer):
        self.built, self.part = quantizer, type(quantizer)

    def build(self, seed=0):
        return self.built


def test_shapes_types_and_bits(quantizer, latent):
    out = quantizer(latent)
    assert out.latent.shape == latent.shape
    assert out.codes.shape == (3, K, 20)
    assert out.codes.dtype == torch.int64
    assert int(out.codes.min()) >= 0
    assert int(out.codes.max()) < SIZE
    assert out.bits.tolist() == [16.0] * 3
    assert quantizer.codebook_sizes == [SIZE] * K
    assert quantizer.bits_per_frame(2) == 8.0


def test_first_codes_do_not_depend_on_how_many_are_asked(quantizer, latent):
    assert quantizer.codes_are_nested
    every = quantizer.encode(latent)
    for count in range(1, K + 1):
        assert torch.equal(quantizer.encode(latent, count), every[:, :count])


def test_numbers_per_item_equal_each_item_alone(quantizer, latent):
    counts = [3, 1, 2]
    out = quantizer(latent, torch.tensor(counts))
    assert out.codes.shape[1] == 3
    assert out.bits.tolist() == [12.0, 4.0, 8.0]
    assert torch.equal(quantizer.encode(latent, torch.tensor(counts)), out.codes)
    for item, count in enumerate(counts):
        alone = quantizer(latent[item : item + 1], count)
        assert torch.equal(out.codes[item, :count], alone.codes[0])
        assert bool((out.codes[item, count:] == ABSENT).all())
        torch.testing.assert_close(out.latent[item], alone.latent[0])


def test_decoding_the_codes_gives_the_quantized_latent(quantizer, latent):
    for n_codebooks in (None, 2, torch.tensor([1, 4, 2])):
        out = quantizer(latent, n_codebooks)
        torch.testing.assert_close(quantizer.decode(out.codes), out.latent)


def test_more_codebooks_come_nearer(latent):
    quantizer = ResidualVQ(dimension=D, n_codebooks=K, codebook_size=SIZE)
    quantizer(latent)
    errors = [float((quantizer.decode(quantizer.encode(latent, k)) - latent).square().mean()) for k in (1, 2, 3, 4)]
    assert errors == sorted(errors, reverse=True)


def test_codes_are_of_the_nearest_entry_by_brute_force(quantizer, latent):
    codes = quantizer.encode(latent, 1)[:, 0]
    if isinstance(quantizer, ResidualVQ):
        vectors, entries = latent, quantizer.codebooks[0].entries
    elif isinstance(quantizer, FSQ):
        with torch.no_grad():
            vectors = quantizer.grid.bound(quantizer.projections[0].in_proj(latent[:, : D // quantizer.groups]))
        entries = quantizer.grid.values(unpack(torch.arange(SIZE)[None], quantizer.grid.levels), 0)[0].T
    else:
        with torch.no_grad():
            vectors = quantizer.stages[0].in_proj(latent)
        entries = quantizer.stages[0].entries().detach()
        if quantizer.normalize:
            vectors = vectors / vectors.norm(dim=1, keepdim=True)
            entries = entries / entries.norm(dim=1, keepdim=True)
    distances = (vectors.transpose(1, 2)[:, :, None] - entries).norm(dim=-1)
    assert torch.equal(codes, distances.argmin(-1))


def test_every_entry_is_its_own_code(quantizer):
    codes = torch.arange(SIZE)[None, None]
    if isinstance(quantizer, ResidualVQ):
        assert torch.equal(quantizer.encode(quantizer.decode(codes), 1), codes)
    elif isinstance(quantizer, FSQ):
        levels = unpack(codes[:, 0], quantizer.grid.levels)
        assert torch.equal(pack(levels, quantizer.grid.levels), codes[:, 0])
        assert torch.equal(quantizer.grid.nearest(quantizer.grid.values(levels, 0), 0), levels)
    else:
        stage = quantizer.stages[0]
        assert torch.equal(stage.search(stage.lookup(codes[:, 0])), codes[:, 0])


def test_arithmetic_stays_float32_under_autocast(quantizer):
    latent = torch.randn(3, D, 200).bfloat16()
    for training in (False, True):
        quantizer.train(training)
        start = {name: value.clone() for name, value in quantizer.state_dict().items()}
        plain = quantizer(latent.float())
        quantizer.load_state_dict(start)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = quantizer(latent)
            decoded = quantizer.decode(cast.codes)
            assert torch.equal(quantizer.encode(latent), quantizer.encode(latent.float()))
        assert cast.latent.dtype == decoded.dtype == torch.float32
        assert torch.equal(cast.codes, plain.codes)
        torch.testing.assert_close(cast.latent, plain.latent, rtol=0, atol=0)
        if not training:
            torch.testing.assert_close(decoded, plain.latent)
        for name, loss in plain.losses.items():
            torch.testing.assert_close(cast.losses[name], loss, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (0, "n_codebooks is 0; .* has 1 to 4"),
        (5, "n_codebooks is 5; .* has 1 to 4"),
        (torch.tensor([1, 5, 2]), "from 1 to 5; .* has 1 to 4"),
        (torch.tensor([1, 2]), r"shape \(2,\); .* shape \(3,\)"),
        (torch.tensor([1.0, 2.0, 3.0]), "float32"),
    ],
)
def test_impossible_numbers_of_codebooks_are_refused(quantizer, latent, count, message):
    for method in (quantizer, quantizer.encode):
        with pytest.raises(ValueError, match=message):
            method(latent, count)


def test_wrong_latents_are_refused(quantizer):
    for method in (quantizer, quantizer.encode):
        with pytest.raises(ValueError, match=r"takes \[batch, 6, frames\]"):
            method(torch.randn(3, 5, 20))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.full((1, 2, 3), SIZE), "values from 16 to 16"),
        (torch.full((1, 2, 3), -2), "values from -2 to -2"),
        (torch.zeros(1, 5, 3, dtype=torch.int64), "5 codebooks"),
        (torch.zeros(1, 2, 3), "float32"),
        (torch.zeros(2, 3, dtype=torch.int64), r"shape \(2, 3\)"),
    ],
)
def test_wrong_codes_are_refused(quantizer, codes, message):
    with pytest.raises(ValueError, match=message):
        quantizer.decode(codes)


def test_factorized_takes_a_dimension_per_codebook():
    quantizer = FactorizedVQ(D, 3, SIZE, [2, 4, 5])
    assert [stage.codebook.weight.shape[1] for stage in quantizer.stages] == [2, 4, 5]
    assert quantizer.codebook_dim == [2, 4, 5]
    with pytest.raises(ValueError, match="lists 2 sizes; give one number, or 3"):
        FactorizedVQ(D, 3, SIZE, [2, 4])


def test_factorized_trains_by_gradient():
    quantizer = FactorizedVQ(D, 2, SIZE, 3)
    latent = torch.randn(4, D, 50)
    errors = []
    for _ in range(60):
        out = quantizer(latent)
        error = (out.latent - latent).square().mean()
        loss = error + out.losses["codebook"] + 0.25 * out.losses["commitment"]
        with torch.no_grad():
            for parameter, gradient in zip(
                quantizer.parameters(), torch.autograd.grad(loss, list(quantizer.parameters())), strict=True
            ):
                parameter -= 0.1 * gradient
        errors.append(float(error.detach()))
    assert errors[-1] < 0.7 * errors[0]
