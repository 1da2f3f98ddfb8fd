"""Exports a codec as a folder: for this package, for ``transformers``, or as graphs."""

import json
from pathlib import Path

from safetensors.torch import save

from codeclab.codecs.codec import Codec
from codeclab.codecs.engines.folder import export_graphs
from codeclab.codecs.engines.names import MARK, SUFFIXES, Format
from codeclab.codecs.entropy.choice import FOLDER
from codeclab.codecs.entropy.model_folder import CONFIG as FITTED_CONFIG
from codeclab.codecs.entropy.model_folder import TENSORS as FITTED_TENSORS
from codeclab.codecs.entropy.model_folder import FittedModel, save_fitted
from codeclab.codecs.io.files import write_atomically
from codeclab.codecs.io.transformers_export import to_transformers
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runs.disk import why_no_folder
from codeclab.experiments.runs.export_names import CONFIG, FILES, GRAPHS, PREPROCESSOR, TENSORS

MARKS = {"codeclab": "format_version", "transformers": "model_type"} | dict.fromkeys(GRAPHS, MARK)
"""A key that only the ``config.json`` of this format has."""

LOADERS: dict[Format, str] = {
    "onnx": 'onnxruntime.InferenceSession("{}")',
    "openvino": 'openvino.compile_model("{}", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})',
    "torch-export": 'torch.export.load("{}").module()',
}
"""How a graph of each format is loaded."""


def check_directory(directory: Path, run: Path, form: str, overwrite: bool) -> None:
    """Refuse to write where something else would be lost or mixed up.

    Args:
        directory: folder to write to.
        run: path of the run or codec that is exported.
        form: format, one of ``FILES``.
        overwrite: whether the folder may hold other files, too.

    Raises:
        RecipeError: nothing can be written to it, or it is the exported codec, or not empty and no such export.
    """
    if reason := why_no_folder(directory):
        raise RecipeError(reason)
    if not directory.exists():
        return
    if run.exists() and directory.resolve() in (run.resolve(), (run / "codec").resolve()):
        raise RecipeError(f"{directory} is the codec itself; give another folder")
    held = sorted(path.name for path in directory.iterdir())
    if held and not overwrite and not _is_export(directory, held, form):
        rest = f" and {len(held) - 3} more" if len(held) > 3 else ""
        raise RecipeError(
            f"{directory} is not empty and no earlier export for {form} (it holds {', '.join(held[:3])}{rest}); "
            "give a new folder, or --overwrite"
        )


def export(codec: Codec, directory: Path, form: str, half: bool = False) -> tuple[str, list[str]]:
    """Write a codec as a folder, each file whole or not at all.

    Args:
        codec: codec to export.
        directory: folder to write to, made where it is missing; files of an earlier export are replaced.
        form: format, one of ``FILES``.
        half: whether numbers are stored in half the bytes.

    Returns:
        expression that loads the export, and notes on it, a sentence each.

    Raises:
        ValueError: a codec that this format cannot hold; the message says what could be exported.
    """
    if half and form != "codeclab":
        raise ValueError("--half is for codeclab's own format; transformers' from_pretrained takes dtype=torch.float16")
    if form in SUFFIXES:
        return write_graphs(codec, directory, form)
    if form == "codeclab":
        codec.save(directory, half)
        loader, notes = "codeclab.Codec", []
    else:
        folder = to_transformers(codec)
        write_atomically(directory / TENSORS, save(folder.tensors, {"format": "pt"}))
        write_atomically(directory / PREPROCESSOR, _as_json(folder.preprocessor))
        write_atomically(directory / CONFIG, _as_json(folder.config))
        loader, notes = f"transformers.{folder.model}", folder.notes
    for name in set(FILES["transformers"]) - set(FILES[form]):
        (directory / name).unlink(missing_ok=True)
    return f'{loader}.from_pretrained("{directory}")', notes


def write_graphs(codec: Codec, directory: Path, form: Format) -> tuple[str, list[str]]:
    """Write a codec's graphs, compared with the codec; arguments, results and errors are those of ``export``."""
    agreement, speed = export_graphs(codec, directory, form)
    notes = [
        f"{100 * agreement.equal:.4g} % of {agreement.codes:,} codes are codeclab's; audio decoded from the same codes "
        f"differs by at most {agreement.apart:.1e}, at an rms of {agreement.rms:.2g}",
        f"on one thread of this machine it encodes {speed.encode:.1f} and decodes {speed.decode:.1f} times real time "
        f"(codeclab itself: {speed.own_encode:.1f} and {speed.own_decode:.1f})",
    ]
    if codec.segment is not None or codec.normalize:
        notes.append("cutting into segments, overlap-add and levels are up to the caller: config.json has the numbers")
    return LOADERS[form].format(directory / f"encoder{SUFFIXES[form][0]}"), notes


def keep_fitted(fitted: FittedModel | None, directory: Path) -> None:
    """Write what was fitted to a codec beside its export; where nothing was, remove what an earlier export had.

    Args:
        fitted: frequencies and language model of the codec; None without them.
        directory: folder of the export.
    """
    if fitted is None:
        for name in (FITTED_CONFIG, FITTED_TENSORS):
            (directory / FOLDER / name).unlink(missing_ok=True)
    else:
        # With --half it is for the codes of the rounded weights, which it predicts as well.
        save_fitted(fitted, directory / FOLDER, Codec.from_pretrained(directory))


def _is_export(directory: Path, held: list[str], form: str) -> bool:
    if set(held) - {FOLDER} != set(FILES[form]):
        return False
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    return isinstance(config, dict) and MARKS[form] in config


def _as_json(content: dict[str, object]) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
