"""Add a metric, and measure the built-in codec with it.

python examples/own_metric.py
"""

import torch

import codeclab


@codeclab.metric("Crest factor, error", higher_is_better=False, unit="dB")
def crest_error(reference: torch.Tensor, estimate: torch.Tensor, sample_rate: int) -> float:
    """How far the crest factor (peak over RMS, dB) of an estimate ``[C, N]`` is from its original's, in dB."""

    def crest(audio: torch.Tensor) -> torch.Tensor:
        return 20 * torch.log10(audio.abs().max() / audio.square().mean().sqrt().clamp(min=1e-9))

    return float((crest(estimate) - crest(reference)).abs())


def main(clips: int = 6) -> codeclab.Evaluation:
    """The box's figures at its lowest and highest bitrate."""
    evaluation = codeclab.evaluate("box", "recordings", ["si_sdr", "crest_error"], bitrates=2, clips=clips, seconds=3.0)
    print(evaluation.summary.query("domain == 'all'").to_string(index=False))
    return evaluation


if __name__ == "__main__":
    main()
