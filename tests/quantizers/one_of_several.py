"""One process of the distributed test: ``one_of_several.py RANK WORLD FOLDER`` trains on its share of each batch."""

import sys
from pathlib import Path

import torch
from torch import distributed as dist

from codeclab.quantizers.distributed import all_gather_batch, all_reduce_mean, all_reduce_sum
from codeclab.quantizers.residual_vq import ResidualVQ
from codeclab.quantizers.usage import CodebookCounts, codebook_statistics


def main(rank: int, world: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=world)
    plan = torch.load(folder / "plan.pt", weights_only=False)
    quantizer = ResidualVQ(**plan["arguments"])
    usage = CodebookCounts(quantizer.codebook_sizes)
    steps = []
    for latent, counts in zip(plan["latents"], plan["counts"], strict=True):
        share = slice(rank * len(latent) // world, (rank + 1) * len(latent) // world)
        part = latent[share].clone().requires_grad_()
        out = quantizer(part, None if counts is None else counts[share])
        (gradient,) = torch.autograd.grad(out.losses["commitment"], part)
        usage.update(out.codes)
        steps.append({"codes": out.codes, "loss": out.losses["commitment"].detach(), "gradient": gradient})
    helpers = {
        "sum": all_reduce_sum(torch.tensor([rank + 1.0])),
        "mean": all_reduce_mean(torch.tensor([rank + 1.0])),
        "gathered": all_gather_batch(torch.arange(rank * 2)[:, None] + 10 * rank),
    }
    noisy = {}
    for name, (make, arguments, state) in plan["noisy"].items():
        other = make(**arguments)
        other.load_state_dict(state)
        latent = plan["latents"][0]
        part = latent[rank * len(latent) // world : (rank + 1) * len(latent) // world]
        noisy[name] = (other(part).latent.detach(), other.state_dict())
    late = ResidualVQ(**plan["arguments"])
    late.start_from(plan["frames"].chunk(world)[rank], plan["batch_frames"] // world)
    result = {
        "late": late.state_dict(),
        "noisy": noisy,
        "state": quantizer.state_dict(),
        "steps": steps,
        "helpers": helpers,
        "usage": usage.over_processes().histograms,
        "statistics": codebook_statistics(steps[1]["codes"], quantizer.codebook_sizes),
    }
    torch.save(result, folder / f"rank{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
