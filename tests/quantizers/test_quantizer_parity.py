"""Both quantizers against the numbers of the reference implementations."""

import pytest
import torch

from codeclab.quantizers.factorized_vq import FactorizedVQ
from codeclab.quantizers.residual_vq import ResidualVQ

BUFFERS = {"entries": "embed", "sums": "embed_avg", "counts": "cluster_size"}


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * float(theirs.abs().max()))


def reference_name(layer, buffer, tensors, prefix):
    for middle in (f"vq.layers.{layer}._codebook.", f"layers.{layer}._codebook."):
        name = f"{prefix}{middle}{BUFFERS[buffer]}"
        if name in tensors:
            return name
    return None


def load_residual_vq(tensors, config):
    quantizer = ResidualVQ(
        dimension=tensors["input.latent"].shape[1],
        n_codebooks=config["n_q"],
        codebook_size=config["bins"],
        kmeans_init=config.get("kmeans_init", False),
    )
    for layer, codebook in enumerate(quantizer.codebooks):
        for buffer in BUFFERS:
            name = reference_name(layer, buffer, tensors, "param.")
            if name is not None:
                codebook.get_buffer(buffer).copy_(tensors[name])
    return quantizer


def test_eval_equals_encodec_at_every_bandwidth(golden):
    tensors, meta = golden("rvq_encodec")
    quantizer = load_residual_vq(tensors, meta["config"]).eval()
    for bandwidth, n_codebooks in [("0.45", 1), ("0.9", 2), ("1.8", 4), ("3.6", 8), ("all", None)]:
        theirs = tensors[f"output.codes.bw_{bandwidth}"].transpose(0, 1).long()
        out = quantizer(tensors["input.latent"], n_codebooks)
        assert torch.equal(out.codes, theirs)
        assert torch.equal(quantizer.encode(tensors["input.latent"], n_codebooks), theirs)
        close(out.latent, tensors[f"output.quantized.bw_{bandwidth}"])
        close(quantizer.decode(theirs), tensors[f"output.quantized.bw_{bandwidth}"])
        kbps = out.bits * meta["config"]["frame_rate"] / 1000
        torch.testing.assert_close(kbps, tensors[f"output.bandwidth.bw_{bandwidth}"].expand(2), rtol=1e-6, atol=0)


def test_training_step_equals_encodec_but_for_its_gradient(golden):
    tensors, meta = golden("rvq_encodec_train_step")
    quantizer = load_residual_vq(tensors, meta["config"]).train()
    out = quantizer(tensors["input.latent"])
    assert torch.equal(out.codes, tensors["output.codes"].transpose(0, 1).long())
    close(out.latent, tensors["output.quantized"])
    close(out.losses["commitment"], tensors["output.penalty"])
    for layer, codebook in enumerate(quantizer.codebooks):
        for buffer in BUFFERS:
            close(codebook.get_buffer(buffer), tensors[reference_name(layer, buffer, tensors, "output.after.")])


def test_training_step_and_gradient_equal_audiocraft(golden):
    tensors, meta = golden("rvq_audiocraft_train_step")
    quantizer = load_residual_vq(tensors, meta["config"]).train()
    latent = tensors["input.latent"].requires_grad_()
    out = quantizer(latent)
    assert torch.equal(out.codes, tensors["output.codes"].transpose(0, 1).long())
    close(out.latent, tensors["output.quantized"])
    close(out.losses["commitment"], tensors["output.commitment_losses"].mean())
    loss = (out.latent * tensors["input.loss_weights"]).mean() + 2 * out.losses["commitment"]
    close(torch.autograd.grad(loss, latent)[0], tensors["grad.input.latent"], 1e-4)
    for layer, codebook in enumerate(quantizer.codebooks):
        for buffer in BUFFERS:
            close(codebook.get_buffer(buffer), tensors[reference_name(layer, buffer, tensors, "output.after.")])


def test_entries_in_use_equal_encodec_while_unused_ones_are_replaced(golden):
    tensors, meta = golden("rvq_encodec_dead_codes")
    quantizer = load_residual_vq(tensors, meta["config"]).train()
    before = [codebook.counts.clone() for codebook in quantizer.codebooks]
    out = quantizer(tensors["input.latent"])
    assert torch.equal(out.codes, tensors["output.codes"].transpose(0, 1).long())
    for layer, codebook in enumerate(quantizer.codebooks):
        alive = before[layer] >= 2
        assert 0 < int(alive.sum()) < len(alive)
        theirs = {name: tensors[reference_name(layer, name, tensors, "output.after.")] for name in BUFFERS}
        for buffer, value in theirs.items():
            close(codebook.get_buffer(buffer)[alive], value[alive])
        # The released code overwrites its replacements at once; ours are still there after the step.
        assert bool((codebook.entries[~alive] != theirs["entries"][~alive]).any(1).all())


def load_factorized_vq(tensors, config):
    quantizer = FactorizedVQ(
        config["input_dim"], config["n_codebooks"], config["codebook_size"], config["codebook_dim"]
    )
    state = {}
    for name, value in tensors.items():
        if name.startswith("param."):
            state[ours_of_dac(name.removeprefix("param."))] = value
    quantizer.load_state_dict(state)
    return quantizer


def ours_of_dac(name):
    name = name.replace("quantizers.", "stages.", 1)
    name = name.replace("weight_g", "parametrizations.weight.original0")
    return name.replace("weight_v", "parametrizations.weight.original1")


def test_factorized_forward_losses_and_gradients_equal_dac(golden):
    tensors, meta = golden("rvq_dac")
    quantizer = load_factorized_vq(tensors, meta["config"])
    latent = tensors["input.z"].requires_grad_()
    out = quantizer(latent)
    assert torch.equal(out.codes, tensors["output.all.codes"].long())
    close(out.latent, tensors["output.all.z_q"])
    close(out.losses["commitment"], tensors["output.all.commitment_loss"])
    close(out.losses["codebook"], tensors["output.all.codebook_loss"])
    loss = (out.latent * tensors["input.loss_weights"]).mean()
    (loss + 0.25 * out.losses["commitment"] + out.losses["codebook"]).backward()
    close(latent.grad, tensors["grad.all.z"], 1e-4)
    parameters = dict(quantizer.named_parameters())
    theirs = {name: value for name, value in tensors.items() if name.startswith("grad.all.param.")}
    assert len(theirs) == len(parameters)
    for name, value in theirs.items():
        close(parameters[ours_of_dac(name.removeprefix("grad.all.param."))].grad, value, 1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_factorized_with_fewer_codebooks_equals_dac(golden, training):
    tensors, meta = golden("rvq_dac")
    quantizer = load_factorized_vq(tensors, meta["config"]).train(training)
    out = quantizer(tensors["input.z"], 3)
    assert torch.equal(out.codes, tensors["output.n3.codes"].long())
    assert torch.equal(quantizer.encode(tensors["input.z"], 3), out.codes)
    close(out.latent, tensors["output.n3.z_q"])
    close(out.losses["commitment"], tensors["output.n3.commitment_loss"])
    close(out.losses["codebook"], tensors["output.n3.codebook_loss"])


def test_factorized_codes_and_latents_decode_as_in_dac(golden):
    tensors, meta = golden("rvq_dac")
    quantizer = load_factorized_vq(tensors, meta["config"])
    close(quantizer.decode(tensors["output.all.codes"].long()), tensors["output.from_codes.z_q"])
    projected = tensors["output.all.latents"].split(meta["config"]["codebook_dim"], dim=1)
    codes = torch.stack([stage.search(part) for stage, part in zip(quantizer.stages, projected, strict=True)], dim=1)
    assert torch.equal(codes, tensors["output.from_latents.codes"].long())
    close(quantizer.decode(codes), tensors["output.from_latents.z_q"])


def test_factorized_with_codebooks_per_item_equals_dac_dropout(golden):
    tensors, meta = golden("rvq_dac")
    quantizer = load_factorized_vq(tensors, meta["config"]).train()
    counts = tensors["output.train.counts"].long()
    assert len(set(counts.tolist())) > 1
    out = quantizer(tensors["input.z"], counts)
    close(out.latent, tensors["output.train.z_q"])
    close(out.losses["commitment"], tensors["output.train.commitment_loss"])
    close(out.losses["codebook"], tensors["output.train.codebook_loss"])
    used = torch.arange(out.codes.shape[1])[None, :] < counts[:, None]
    theirs = tensors["output.train.codes"].long()[:, : out.codes.shape[1]]
    assert torch.equal(out.codes, theirs.where(used[..., None], -1))
