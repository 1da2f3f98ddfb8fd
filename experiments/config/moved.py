"""Parts that have moved: runs of former versions name where they were."""

import codeclab

MOVED = {
    "codeclab.experiments.losses": "codeclab.experiments.train.losses",
    "codeclab.experiments.rate_sampling": "codeclab.experiments.train.rate_sampling",
    "codeclab.experiments.balancer": "codeclab.experiments.train.balancer",
}
"""Modules with parts: their paths when the first runs were named after their settings, and their paths now."""


def moved(path: str, back: bool = False) -> str:
    """A part's present path or, with ``back``, its first path, by which runs are named and compared.

    Args:
        path: path of a class or module; any other name is returned unchanged.
        back: whether to return the first path of a class, and not its present one.
    """
    package, _, name = path.partition(".")
    if package == "codeclab" and name.isidentifier() and isinstance(part := getattr(codeclab, name, None), type):
        path = f"{part.__module__}.{part.__qualname__}"  # the parser's shortest way to it leads over the package's face
    for former, now in MOVED.items():
        old, new = (now, former) if back else (former, now)
        if f"{path}.".startswith(f"{old}."):
            return new + path.removeprefix(old)
    return path
