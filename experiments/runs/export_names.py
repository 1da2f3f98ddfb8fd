"""Formats of an exported codec and the files of each, for options, too, which do not import torch."""

from codeclab.codecs.engines.names import SUFFIXES, exported_files

CONFIG = "config.json"
TENSORS = "model.safetensors"
PREPROCESSOR = "preprocessor_config.json"

GRAPHS: dict[str, tuple[str, ...]] = {form: exported_files(form) for form in SUFFIXES}
"""Formats of graphs, for other programs than this one, and what an export of each is made of."""

FILES: dict[str, tuple[str, ...]] = {
    "codeclab": (TENSORS, CONFIG),
    "transformers": (TENSORS, PREPROCESSOR, CONFIG),
    **GRAPHS,
}
"""What an export of each format is made of."""
