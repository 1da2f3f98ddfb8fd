"""What ``codeclab speed train --sweep`` can go over, and the files that it can draw."""

SWEEPS: dict[str, tuple[float, ...]] = {
    "batch": (1, 2, 4, 8),
    "seconds": (0.25, 0.5, 1.0, 2.0),
    "channels": (1, 2),
    "codebooks": (1, 2, 4, 8, 16),
}
"""The sizes, and the values of each where none are given."""

UNITS = {"batch": "items", "seconds": "s", "channels": "of the audio", "codebooks": ""}
"""Of the values."""

FORMATS = {".png": "png", ".svg": "svg"}
"""Kinds of plot by the ending of the file's name."""
