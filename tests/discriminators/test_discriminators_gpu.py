"""Every discriminator on a GPU against itself on the CPU."""

import copy

import pytest
import torch

from codeclab.discriminators.mono_stft import MonoSTFTDiscriminator
from codeclab.discriminators.mpd import MultiPeriodDiscriminator
from codeclab.discriminators.msd import MultiScaleDiscriminator
from codeclab.discriminators.msstft import MSSTFTDiscriminator
from codeclab.discriminators.multiband import MultiBandSTFTDiscriminator

KINDS = {
    "msstft": lambda: MSSTFTDiscriminator((256, 512), n_filters=8),
    "mpd": lambda: MultiPeriodDiscriminator((2, 3), n_filters=8, max_filters=32),
    "multiband": lambda: MultiBandSTFTDiscriminator((512, 256), n_filters=8),
    "msd": lambda: MultiScaleDiscriminator((1, 2), n_filters=8, max_filters=32),
    "mono": lambda: MonoSTFTDiscriminator(256, n_filters=8),
}


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradients_are_those_of_a_cpu(kind, exact_gpu):
    discriminator = KINDS[kind]().eval()
    there = copy.deepcopy(discriminator).to(exact_gpu)
    audio = torch.randn(2, 1, 8000)
    results = []
    for model, device in ((discriminator, "cpu"), (there, exact_gpu)):
        given = audio.to(device, copy=True).requires_grad_()
        outputs = model(given)
        sum(j.logits.square().mean() + sum(f.abs().mean() for f in j.features) for j in outputs).backward()
        tensors = [tensor for j in outputs for tensor in (j.logits, *j.features)]
        tensors += [given.grad, *(p.grad for p in model.parameters())]
        results.append([tensor.detach().cpu() for tensor in tensors])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-3 * float(ours.abs().max()))
