"""Every quantizer on a GPU against itself on the CPU."""

import copy

import pytest
import torch

from codeclab.quantizers.diffq import DiffQ
from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.fsq import FSQ
from codeclab.quantizers.gumbel_softmax import GumbelSoftmax
from codeclab.quantizers.precision import full_float32
from codeclab.quantizers.residual_vq import ResidualVQ

pytestmark = pytest.mark.gpu

D, K, SIZE = 32, 4, 64
KINDS = {
    "residual": lambda: ResidualVQ(D, K, SIZE),
    "factorized": lambda: FactorizedVQ(D, K, SIZE, kmeans_init=True),
    "finite scalar": lambda: FSQ(D, K, pca_init=True),
    "diffq": lambda: DiffQ(D, frame_rate=75),
    "gumbel": lambda: GumbelSoftmax(D, K, SIZE, frame_rate=75, choice="sample"),
}
VECTOR_KINDS = [kind for kind in KINDS if kind in ("residual", "factorized", "finite scalar")]


def trained(kind):
    """A quantizer that has seen a few batches, on the CPU."""
    quantizer = KINDS[kind]()
    for _ in range(3):
        quantizer(torch.randn(8, D, 100))
    return quantizer


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_those_of_a_cpu(kind, exact_gpu):
    quantizer = trained(kind).eval()
    there = copy.deepcopy(quantizer).to(exact_gpu)
    latent = torch.randn(4, D, 200)
    codes, theirs = quantizer.encode(latent), there.encode(latent.to(exact_gpu))
    assert theirs.is_cuda
    # Of thousands of codes some may lie on the border between two entries.
    assert (theirs.cpu() == codes).float().mean() > 0.999
    torch.testing.assert_close(there.decode(codes.to(exact_gpu)).cpu(), quantizer.decode(codes), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("counts", [None, 2, [1, 4, 2, 3]])
@pytest.mark.parametrize("kind", VECTOR_KINDS)
def test_a_training_batch_is_that_of_a_cpu(kind, counts, exact_gpu):
    quantizer = trained(kind)
    there = copy.deepcopy(quantizer).to(exact_gpu)
    latent, chosen = torch.randn(4, D, 50), counts if not isinstance(counts, list) else torch.tensor(counts)
    results = []
    for model, device in ((quantizer, torch.device("cpu")), (there, exact_gpu)):
        given = latent.to(device, copy=True).requires_grad_()
        out = model(given, chosen.to(device) if isinstance(chosen, torch.Tensor) else chosen)
        (out.latent.square().mean() + sum(out.losses.values())).backward()
        tensors = {f"loss {name}": loss for name, loss in out.losses.items()} | {"latent": out.latent, "bits": out.bits}
        tensors |= {"gradient": given.grad} | dict(model.named_buffers())
        tensors |= {f"gradient of {name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
        results.append({name: value.detach().cpu() for name, value in tensors.items()})
    assert results[0].keys() == results[1].keys()
    for name, value in results[0].items():
        torch.testing.assert_close(
            results[1][name], value, rtol=1e-3, atol=1e-4, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_batch_starts_alike(kind, exact_gpu):
    quantizer = KINDS[kind]()
    there = copy.deepcopy(quantizer).to(exact_gpu)
    latent = torch.randn(8, D, 100)
    errors = []
    for model, device in ((quantizer, "cpu"), (there, exact_gpu)):
        coded = model(latent.to(device)).latent.detach().cpu()
        errors.append(float((coded - latent).square().mean()))
    assert errors[1] == pytest.approx(errors[0], rel=0.02)


@pytest.mark.parametrize("kind", ["diffq", "gumbel"])
def test_noise_is_a_function_of_seed_and_batch(kind, gpu):
    first = trained(kind).to(gpu)
    second = copy.deepcopy(first)
    latent = torch.randn(4, D, 50, device=gpu)
    once, again = first(latent).latent, second(latent).latent
    assert torch.equal(once, again)
    assert not torch.equal(first(latent).latent, once)


@pytest.fixture
def with_tf32():
    """A user's settings: convolutions round to TF32 by default, and matrix products by request."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("with_tf32")
def test_tf32_does_not_reach_a_quantizer(gpu):
    assert torch.backends.cudnn.allow_tf32
    quantizer = FactorizedVQ(1024, 9, 1024).eval()
    there = copy.deepcopy(quantizer).to(gpu)
    latent = torch.randn(4, 1024, 200)
    exact = torch.nn.functional.conv1d(latent.double(), quantizer.stages[0].in_proj.weight.double())

    def error():
        result = torch.nn.functional.conv1d(latent.to(gpu), there.stages[0].in_proj.weight)
        return float((result.cpu() - exact).abs().max() / exact.abs().max())

    rounded = error()
    with full_float32(gpu):
        assert error() < rounded / 20
    assert error() == pytest.approx(rounded)
    assert (there.encode(latent.to(gpu)).cpu() == quantizer.encode(latent)).float().mean() > 0.999


@pytest.mark.parametrize("kind", VECTOR_KINDS)
def test_arithmetic_stays_float32_under_autocast(kind, gpu):
    quantizer = trained(kind).to(gpu)
    again = copy.deepcopy(quantizer)
    latent = torch.randn(3, D, 200, device=gpu).bfloat16()
    plain = quantizer(latent.float())
    with torch.autocast("cuda", dtype=torch.bfloat16):
        cast = again(latent)
    assert cast.latent.dtype == torch.float32
    assert torch.equal(cast.codes, plain.codes)
    torch.testing.assert_close(cast.latent, plain.latent)
