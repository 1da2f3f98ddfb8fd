"""ViSQOL on arrays, light enough for worker processes: it imports neither torch nor, until used, the port."""

import logging
import math
import os
from functools import cache
from typing import TYPE_CHECKING, Literal

from codeclab.benchmarks.metrics.errors import MetricError
from codeclab.codecs.io.workers import leave_signals_to_parent

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray
    from visqol.api import VisqolApi

Mapping = Literal["svr", "lattice", "exponential"]

RATES: dict[Mapping, int] = {"svr": 48_000, "lattice": 16_000, "exponential": 16_000}
"""Hz each mapping was made for: "svr" is audio mode, the other two are speech mode."""


def score(reference: "NDArray[float32]", estimate: "NDArray[float32]", mapping: Mapping, sample_rate: int) -> float:
    """MOS-LQO of ``estimate``, about 1 to 5.

    Source: ViSQOL v3 (Chinen et al., 2020), https://github.com/google/visqol, as ported by visqol-python.

    Args:
        reference: mono samples ``[N]``.
        estimate: mono samples ``[M]``, aligned by ViSQOL itself.
        mapping: "svr" (audio mode), or in speech mode "lattice" (the official one) or "exponential" (a polynomial fit).
        sample_rate: Hz of both.

    Raises:
        MetricError: a signal is empty, silent or not finite, or ViSQOL finds nothing in it to compare.
    """
    import numpy as np

    for role, signal in (("reference", reference), ("estimate", estimate)):
        if not np.isfinite(signal).all():
            raise MetricError(f"the {role} is not finite")
        if not signal.any():
            raise MetricError(f"the {role} is silent")
    try:
        result = float(_api(mapping).measure_from_arrays(reference, estimate, sample_rate).moslqo)
    except IndexError as error:
        raise MetricError("speech mode found no voice activity in the reference") from error
    except (ValueError, ArithmeticError) as error:
        raise MetricError(str(error)) from error
    if not math.isfinite(result):
        raise MetricError("ViSQOL gave no finite score")
    return result


@cache
def _api(mapping: Mapping) -> "VisqolApi":
    """One loaded model per mapping and process: loading costs 0.1 s, importing the port 2 s."""
    from visqol.api import VisqolApi

    # It warns of every rate but 48 kHz, also of the 16 kHz that speech mode wants.
    logging.getLogger("visqol.visqol_manager").setLevel(logging.ERROR)
    api = VisqolApi()
    if mapping == "svr":
        api.create(mode="audio")
    else:
        api.create(mode="speech", use_lattice_model=mapping == "lattice")
    return api


def start_worker() -> None:
    """Hold a worker process to one thread; must run before NumPy and Numba are imported there."""
    leave_signals_to_parent()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = "1"
