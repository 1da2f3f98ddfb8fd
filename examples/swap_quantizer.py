"""Train two small codecs that differ in the quantizer alone, and measure both on the same clips.

python examples/swap_quantizer.py --steps 300
"""

import argparse

import codeclab


def main(steps: int = 300, data: str = "recordings", runs: str = "runs") -> dict[str, float]:
    """SI-SDR in dB at the highest bitrate, by quantizer."""
    scores = {}
    for quantizer in (codeclab.ResidualVQ, codeclab.FactorizedVQ):
        run = codeclab.train(
            "vocos_16khz", data, f"swap-{quantizer.__name__}", scale="laptop", runs=runs,
            model__quantizer=quantizer, trainer__max_steps=steps,
        )  # fmt: skip
        figures = codeclab.evaluate(run.codec, data=data, metrics=["si_sdr"], bitrates=1, clips=6, seconds=3.0)
        scores[quantizer.__name__] = float(figures.per_file["si_sdr"].mean())
        print(f"{quantizer.__name__}: {scores[quantizer.__name__]:.2f} dB after {run.steps} batches")
    return scores


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="batches of each training (default: 300)")
    parser.add_argument("--data", default="recordings", help="audio (default: the recordings that ship with codeclab)")
    main(**vars(parser.parse_args()))
