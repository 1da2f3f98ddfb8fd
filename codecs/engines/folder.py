"""A codec as a folder of graphs, for programs without this package."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.engines.check import EngineAgreement, Graphs, Speeds, agreement, speeds
from codeclab.codecs.engines.formats import check_packages, load_graph, write_graph
from codeclab.codecs.engines.graphs import (
    FRAMES,
    ITEMS,
    Dequantize,
    Quantize,
    check_exportable,
    example_input,
    make_graph,
)
from codeclab.codecs.engines.names import CONFIG, GRAPHS, MARK, SUFFIXES, Format, exported_files
from codeclab.codecs.io.files import replacing, write_atomically
from codeclab.codecs.io.folder import identity
from codeclab.quantizers.base import ABSENT

FORMAT_VERSION = 1


def export_graphs(codec: Codec, directory: Path, form: Format) -> tuple[EngineAgreement, Speeds]:
    """Write a codec's graphs and ``config.json``, after checking that the loaded graphs compute what the codec does.

    Args:
        codec: codec in evaluation mode, on the CPU.
        directory: folder of the export, created if missing.
        form: format of the graphs.

    Returns:
        the agreement of graphs and codec, and their speeds.

    Raises:
        ValueError: packages are missing, a part cannot be exported, or the graphs compute something else. Nothing is
            written then.
    """
    check_packages(form)
    check_exportable(codec.quantizer)
    most = codec.choose_codebooks()
    dimension = codec.encoder.dimension
    modules = {
        "encoder": (codec.encoder, example_input(codec.encoder)),
        "quantizer": (Quantize(codec.quantizer, most), torch.randn(ITEMS, dimension, FRAMES)),
        "dequantizer": (Dequantize(codec.quantizer), torch.zeros(ITEMS, most, FRAMES, dtype=torch.int64)),
        "decoder": (codec.decoder, example_input(codec.decoder)),
    }
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        for graph in GRAPHS:
            write_graph(make_graph(*modules[graph]), form, made / graph)
        graphs = Graphs(*(load_graph(form, made / graph, threads=1) for graph in GRAPHS))
        measured = agreement(codec, graphs), speeds(codec, graphs)
        for file in exported_files(form):
            if file != CONFIG:
                with replacing(directory / file) as temporary:
                    shutil.copyfile(made / file, temporary)
    write_atomically(directory / CONFIG, json.dumps(_config(codec, form), indent=2) + "\n")
    return measured


def _config(codec: Codec, form: Format) -> dict[str, Any]:
    cut = codec.segments
    most = codec.choose_codebooks()
    return {
        "format_version": FORMAT_VERSION,
        MARK: form,
        "codec": identity(codec),
        "graphs": {
            graph: {"file": f"{graph}{SUFFIXES[form][0]}", "takes": takes, "gives": gives}
            for graph, (takes, gives) in GRAPHS.items()
        },
        "sample_rate": codec.sample_rate,
        "channels": codec.channels,
        "hop_length": codec.hop_length,
        "dimension": codec.encoder.dimension,
        "n_codebooks": most,
        "codebook_sizes": codec.quantizer.codebook_sizes[:most],
        "bitrates": [{"kbps": rate, "n_codebooks": codec.n_codebooks_for(rate)} for rate in codec.bitrates],
        "absent": ABSENT,
        "segment_samples": None if cut is None else cut.length,
        "segment_stride": None if cut is None else cut.stride,
        "normalize": codec.normalize,
    }
