"""Precisions in which training works, and processors that compute faster in bfloat16 than in float32."""

import sys

import torch

from codeclab.experiments.config.files import RecipeError

PRECISIONS = ("32-true", "bf16-mixed")
"""Precisions in which training works, by Lightning's names."""

SHORT = {"32": "32-true", "bf16": "bf16-mixed"}
"""Lightning's older names."""

WHY_NOT = {
    "16": "float16 needs a gradient scaler, which does not fit losses that are balanced by their gradients",
    "bf": "codebooks, losses and STFTs need float32 weights, which bf16-mixed keeps; its networks compute in bfloat16",
    "64": "audio is read as float32, and the networks are made for it",
}


def refuse_precision(precision: str) -> None:
    """Refuse a precision in which training cannot work.

    Raises:
        RecipeError: it is not one of ``PRECISIONS``; the message says why.
    """
    if SHORT.get(precision, precision) in (*PRECISIONS, "None"):
        return
    why = WHY_NOT.get(precision[:2], "training in it is not tested")
    raise RecipeError(f"--trainer.precision {precision}: {why}; use {' or '.join(PRECISIONS)}")


def trains_on_cpu(accelerator: str) -> bool:
    """Whether Lightning's ``accelerator`` means the CPU on this machine."""
    others = torch.cuda.is_available() or torch.backends.mps.is_available()
    return accelerator == "cpu" or (accelerator == "auto" and not others)


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX-512 BF16 or AMX).

    Others emulate it, slower than float32. Measured on a processor with AVX-512 BF16: 1.6 times as many batches of an
    autoencoder in the same time, and the same loss curve.
    """
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def note_precision(command: str, precision: str, device: str) -> None:
    """Print on standard error that this processor emulates a precision (``f32``, ``bf16``), where it does."""
    if precision == "bf16" and device == "cpu" and not has_fast_bf16():
        print(f"codeclab {command}: this processor emulates bfloat16; --precision f32 is faster on it", file=sys.stderr)
