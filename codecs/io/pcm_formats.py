"""Sample types of raw PCM by name, for options, which do not import torch."""

from typing import Any

import numpy as np

FORMATS: dict[str, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}
"""Sample types of raw PCM, under ffmpeg's names."""
