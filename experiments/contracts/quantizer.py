"""What every quantizer promises."""

import torch
from torch import Tensor

from codeclab.experiments.contracts.base import PartContract, noise
from codeclab.quantizers.base import ABSENT, Quantizer

FRAMES = 24


class QuantizerContract(PartContract):
    """Shapes, types, fewer codebooks, decoding, saving, precision."""

    part: type[Quantizer]

    def latent(self, quantizer: Quantizer, batch: int = 2) -> Tensor:
        """Something to quantize, ``[B, D, T]``."""
        return noise(batch, quantizer.dimension, FRAMES, level=1.0)

    def learnt(self) -> Quantizer:
        """One that has seen a batch, in evaluation mode: some start their codebooks from that."""
        quantizer: Quantizer = self.build().train()
        quantizer(noise(8, quantizer.dimension, 50, seed=2, level=1.0))
        return quantizer.eval()

    def test_shapes_types_and_bits(self) -> None:
        """``Quantized`` is as its docstring says."""
        quantizer = self.learnt()
        latent = self.latent(quantizer)
        out = quantizer(latent)
        sizes = quantizer.codebook_sizes
        assert len(sizes) == quantizer.n_codebooks
        assert out.latent.shape == latent.shape
        assert out.latent.dtype == torch.float32
        assert out.codes.shape == (2, quantizer.n_codebooks, FRAMES)
        assert out.codes.dtype == torch.int64
        for k, size in enumerate(sizes):
            assert int(out.codes[:, k].min()) >= 0
            assert int(out.codes[:, k].max()) < size
        assert out.bits.shape == (2,)
        assert bool(out.bits.isfinite().all())
        assert all(loss.ndim == 0 and bool(loss.isfinite()) for loss in out.losses.values())

    def test_codes_are_decoded_to_the_quantized_latent(self) -> None:
        """``decode(encode(x))`` is what ``forward`` gives in evaluation mode."""
        quantizer = self.learnt()
        latent = self.latent(quantizer)
        with torch.no_grad():
            out, codes = quantizer(latent), quantizer.encode(latent)
            assert torch.equal(codes, out.codes)
            torch.testing.assert_close(quantizer.decode(codes), out.latent, rtol=1e-4, atol=1e-5)

    def test_fewer_codebooks_are_the_first_ones(self) -> None:
        """A number for the batch, and one for each item; an item's absent codebooks are marked and add nothing."""
        quantizer = self.learnt()
        latent, offered = self.latent(quantizer), quantizer.offered_n_codebooks
        with torch.no_grad():
            every = quantizer.encode(latent)
            for count in offered:
                assert torch.equal(quantizer.encode(latent, count), every[:, :count])
            counts = torch.tensor([offered[0], offered[-1]])
            mixed = quantizer.encode(latent, counts)
            assert bool((mixed[0, offered[0] :] == ABSENT).all())
            alone = quantizer.decode(quantizer.encode(latent[:1], offered[0]))
            torch.testing.assert_close(quantizer.decode(mixed)[:1], alone, rtol=1e-4, atol=1e-5)

    def test_encoding_learns_nothing(self) -> None:
        """The state stays, in training mode, too."""
        quantizer = self.learnt().train()
        before = {name: value.clone() for name, value in quantizer.state_dict().items() if isinstance(value, Tensor)}
        quantizer.encode(self.latent(quantizer))
        after = quantizer.state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items())

    def test_a_gradient_reaches_the_encoder(self) -> None:
        """Through the quantized latent: straight through where the method is."""
        quantizer = self.learnt().train()
        latent = self.latent(quantizer).requires_grad_()
        quantizer(latent).latent.square().sum().backward()
        assert latent.grad is not None
        assert bool(latent.grad.isfinite().all())
        assert float(latent.grad.abs().sum()) > 0

    def test_its_arithmetic_is_float32_under_any_autocast(self) -> None:
        """bfloat16 cannot hold the indices of a large codebook."""
        quantizer = self.learnt()
        latent = self.latent(quantizer).bfloat16()
        with torch.no_grad():
            expected = quantizer.encode(latent.float())
            with torch.autocast("cpu", dtype=torch.bfloat16):
                assert torch.equal(quantizer.encode(latent), expected)
                assert quantizer.decode(expected).dtype == torch.float32

    def test_it_is_rebuilt_from_its_arguments_and_weights(self) -> None:
        """What is saved and loaded codes alike."""
        quantizer = self.learnt()
        latent = self.latent(quantizer)
        assert torch.equal(self.rebuild(quantizer).encode(latent), quantizer.encode(latent))
