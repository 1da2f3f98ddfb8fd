"""Compare two runs clip by clip: which is better, and by how much on the same clips.

python examples/compare_runs.py runs/one runs/another
"""

import sys

from scipy import stats

import codeclab


def main(first: str, second: str, metric: str = "si_sdr", clips: int | None = None) -> tuple[float, float]:
    """The mean difference (second minus first) and half its 95 % interval, at each run's highest bitrate."""
    scores = []
    for run in (first, second):
        evaluation = codeclab.evaluate(run, metrics=[metric], bitrates=1, clips=clips)
        scores.append(evaluation.per_file.set_index("name")[metric])
    # On the same clips most of what makes one harder than another falls out of the difference.
    differences = (scores[1] - scores[0]).dropna()
    half = float(stats.t.ppf(0.975, len(differences) - 1) * differences.sem())
    print(f"{second} minus {first}: {differences.mean():+.2f} ± {half:.2f} over {len(differences)} clips ({metric})")
    return float(differences.mean()), half


if __name__ == "__main__":
    main(*sys.argv[1:3])
