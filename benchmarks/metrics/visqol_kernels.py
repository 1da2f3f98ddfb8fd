"""The arithmetic of ViSQOL that takes longest, compiled: the gammatone filters and the search for patches.

Every number is computed by the operations of visqol-python, in its order; only what does not depend on one another is
computed side by side, by vector instructions, and what it computes again and again is computed once.
"""

from typing import TYPE_CHECKING

import numpy as np
from numba import njit, prange

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

    Floats = NDArray[float64]

LANES = 32
"""Bands that are filtered side by side, at least as many as any mode has: a constant, so that the compiler knows it."""

STATES = 9
"""Numbers that a band carries from sample to sample: two of each of four stages, and the energy."""

COEFFICIENTS = 8
"""Coefficients of a band: two taps of the first stage, the first of the others, their second, two of the feedback."""

CORNER, EDGE, CENTRE = 0.0113033910173052, 0.0838251475442633, 0.619485845753726
"""Weights of the 3 by 3 window of the similarity."""

INTENSITY_FLOOR, STRUCTURE_FLOOR = (0.01 * 1.0) ** 2, (0.03 * 1.0) ** 2 / 2.0
LOWEST = -1e308


def gammatone_coefficients(filters: "Floats") -> "Floats":
    """Coefficients ``[COEFFICIENTS * LANES]`` from those of ``make_erb_filters``, ``[10, bands]``.

    Bands that fill the lanes are silent.
    """
    first, a11, a12, a13, a14, third, one, b1, b2, gain = filters
    # A third tap and a factor before the feedback would need another kernel.
    assert not third.any()
    assert (one == 1).all()
    rows = np.stack([first / gain, a11 / gain, first, a12, a13, a14, b1, b2])
    return np.pad(rows, ((0, 0), (0, LANES - rows.shape[1]))).ravel()


@njit(cache=True, parallel=True, error_model="numpy")
def gammatone_frames(signal: "Floats", starts: "NDArray[int64]", window: "Floats", coefficients: "Floats") -> "Floats":
    """Root mean squares ``[frames, LANES]`` of the filtered frames that begin at ``starts``."""
    size = window.shape[0]
    rms = np.empty((starts.shape[0], LANES))
    for index in prange(starts.shape[0]):
        frame = signal[starts[index] : starts[index] + size] * window
        # States and coefficients lie in one array: the compiler then knows that they do not overlap.
        m = np.zeros((STATES + COEFFICIENTS) * LANES)
        m[STATES * LANES :] = coefficients
        for position in range(size):
            x = frame[position]
            for i in range(LANES):
                b0, a1, a2 = m[11 * LANES + i], m[15 * LANES + i], m[16 * LANES + i]
                y0 = m[9 * LANES + i] * x + m[i]
                m[i] = m[10 * LANES + i] * x - a1 * y0 + m[LANES + i]
                m[LANES + i] = -(a2 * y0)
                y1 = b0 * y0 + m[2 * LANES + i]
                m[2 * LANES + i] = m[12 * LANES + i] * y0 - a1 * y1 + m[3 * LANES + i]
                m[3 * LANES + i] = -(a2 * y1)
                y2 = b0 * y1 + m[4 * LANES + i]
                m[4 * LANES + i] = m[13 * LANES + i] * y1 - a1 * y2 + m[5 * LANES + i]
                m[5 * LANES + i] = -(a2 * y2)
                y3 = b0 * y2 + m[6 * LANES + i]
                m[6 * LANES + i] = m[14 * LANES + i] * y2 - a1 * y3 + m[7 * LANES + i]
                m[7 * LANES + i] = -(a2 * y3)
                m[8 * LANES + i] += y3 * y3
        for i in range(LANES):
            rms[index, i] = np.sqrt(m[8 * LANES + i] / size)
    return rms


@njit(cache=True, error_model="numpy")
def smoothed(values: "Floats", left: int, right: int) -> "Floats":
    """``values [rows, columns]`` under the window, where a column's neighbours are ``left`` and ``right`` of it.

    -1 and 1 in the middle of a patch; 0 at its ends, which are repeated, as the first and last rows are.
    """
    rows, columns = values.shape
    smooth = np.empty((rows, columns))
    for row in range(rows):
        above, below = max(row - 1, 0), min(row + 1, rows - 1)
        for column in range(columns):
            before, after = max(column + left, 0), min(column + right, columns - 1)
            total = 0.0 + CORNER * values[above, before]
            total += EDGE * values[above, column]
            total += CORNER * values[above, after]
            total += EDGE * values[row, before]
            total += CENTRE * values[row, column]
            total += EDGE * values[row, after]
            total += CORNER * values[below, before]
            total += EDGE * values[below, column]
            total += CORNER * values[below, after]
            smooth[row, column] = total
    return smooth


@njit(cache=True, parallel=True, error_model="numpy")
def search_patches(
    patches: "Floats", spectrogram: "Floats", starts: "NDArray[int64]", radius: int
) -> "tuple[Floats, NDArray[int64]]":
    """Sums of similarities along the best paths, and the offset that each came from, ``[patches, frames]`` both.

    Args:
        patches: patches of the reference, ``[patches, bands, columns]``.
        spectrogram: spectrogram of the degraded signal, ``[bands, frames]``.
        starts: first frame of each patch, ascending.
        radius: frames about it within which a patch is searched.
    """
    count, bands, columns = patches.shape
    frames = spectrogram.shape[1]
    filled = np.zeros((bands, frames + columns))
    filled[:, :frames] = spectrogram
    # What belongs to the degraded signal alone is the same for all patches: in the middle of one, and at its two ends.
    means = np.empty((3, bands, frames + columns))
    variances = np.empty((3, bands, frames + columns))
    for position, (left, right) in enumerate(((0, 1), (-1, 1), (-1, 0))):
        means[position] = smoothed(filled, left, right)
        variances[position] = smoothed(filled * filled, left, right) - means[position] * means[position]
    sums = np.zeros((count, frames))
    came_from = np.full((count, frames), -1, dtype=np.int64)
    best_before = np.empty(frames)
    best_offset = np.empty(frames, dtype=np.int64)
    for patch in range(count):
        low, high = max(0, starts[patch] - radius), min(frames - 1, starts[patch] + radius)
        reference = patches[patch].copy()
        own_means = smoothed(reference, -1, 1)
        own_variances = smoothed(reference * reference, -1, 1) - own_means * own_means
        if patch > 0:
            highest, highest_offset = LOWEST, -1
            for offset in range(max(0, starts[patch - 1] - radius), high + 1):
                best_before[offset], best_offset[offset] = highest, highest_offset
                if sums[patch - 1, offset] >= highest:
                    highest, highest_offset = sums[patch - 1, offset], offset
        for offset in prange(low, high + 1):
            similarity = mean_similarity(reference, own_means, own_variances, filled, means, variances, offset)
            source = -1
            if patch > 0:
                similarity += best_before[offset]
                source = best_offset[offset]
                if sums[patch - 1, offset] > similarity:
                    similarity, source = sums[patch - 1, offset], offset
            sums[patch, offset] = similarity
            came_from[patch, offset] = source
    return sums, came_from


@njit(cache=True, error_model="numpy")
def mean_similarity(
    reference: "Floats",
    own_means: "Floats",
    own_variances: "Floats",
    filled: "Floats",
    means: "Floats",
    variances: "Floats",
    offset: int,
) -> float:
    """Similarity of a patch ``[bands, columns]`` to the degraded spectrogram from ``offset`` on, mean of all bands."""
    bands, columns = reference.shape
    products = np.empty((bands, columns + 2))
    for band in range(bands):
        own, other, product = reference[band], filled[band, offset : offset + columns], products[band]
        for column in range(columns):
            product[column + 1] = own[column] * other[column]
        product[0], product[columns + 1] = product[1], product[columns]
    total = 0.0
    row = np.empty(columns)
    for band in range(bands):
        above, middle, below = products[max(band - 1, 0)], products[band], products[min(band + 1, bands - 1)]
        for column in range(columns):
            cross = 0.0 + CORNER * above[column]
            cross += EDGE * above[column + 1]
            cross += CORNER * above[column + 2]
            cross += EDGE * middle[column]
            cross += CENTRE * middle[column + 1]
            cross += EDGE * middle[column + 2]
            cross += CORNER * below[column]
            cross += EDGE * below[column + 1]
            cross += CORNER * below[column + 2]
            row[column] = cross
        mine, spread = own_means[band], own_variances[band]
        theirs, scatter = means[1, band, offset : offset + columns], variances[1, band, offset : offset + columns]
        first, last = row[0], row[columns - 1]
        for column in range(columns):
            row[column] = cell(mine[column], spread[column], theirs[column], scatter[column], row[column])
        right, end = columns - 1, offset + columns - 1
        row[0] = cell(mine[0], spread[0], means[0, band, offset], variances[0, band, offset], first)
        row[right] = cell(mine[right], spread[right], means[2, band, end], variances[2, band, end], last)
        band_total = 0.0
        for column in range(columns):
            band_total += row[column]
        total += band_total / columns
    return total / bands


@njit(cache=True, error_model="numpy")
def cell(mean: float, variance: float, other_mean: float, other_variance: float, cross: float) -> float:
    """Similarity of intensity times that of structure."""
    both = mean * other_mean
    intensity = (2.0 * both + INTENSITY_FLOOR) / (mean * mean + other_mean * other_mean + INTENSITY_FLOOR)
    # A product below zero leaves the floor alone.
    spread = np.sqrt(max(variance * other_variance, 0.0)) + STRUCTURE_FLOOR
    return float(intensity * ((cross - both + STRUCTURE_FLOOR) / spread))
