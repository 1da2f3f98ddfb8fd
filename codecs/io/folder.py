"""A codec as a folder of ``config.json`` and ``model.safetensors``, and the identity of a codec."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from codeclab.codecs.base import Decoder, Encoder
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.box import BOX_FOLDER, is_box
from codeclab.codecs.io.dac import from_original_dac, is_original_dac
from codeclab.codecs.io.encodec import from_original_encodec, is_original_encodec
from codeclab.codecs.io.files import replacing, write_atomically
from codeclab.codecs.io.hub import OLDER_FILE, hub_folder, is_hub_id
from codeclab.codecs.io.missing import is_local, located, missing
from codeclab.codecs.io.parts import ROLES, arguments_of, build_part, tensor_name_now
from codeclab.codecs.io.torch_file import read_torch_file
from codeclab.codecs.io.transformers import from_transformers
from codeclab.codecs.io.weights import fill, fold, folded_tensors, some_of
from codeclab.codecs.layers.time_major import lay_out
from codeclab.codecs.memory import keep_freed_memory
from codeclab.quantizers.base import Quantizer

FORMAT_VERSION = 1
CONFIG = "config.json"
TENSORS = "model.safetensors"
RUN_CONFIG = "config.yaml"
"""File that a run's folder has, but not a codec's."""
SETTINGS = ("sample_rate", "bitrates", "segment", "overlap", "normalize")
"""Constructor arguments of ``Codec`` besides its parts."""


def config_of(codec: Codec) -> dict[str, Any]:
    """The content of ``config.json``: parts by short name with all arguments, and the codec's settings."""
    config: dict[str, Any] = {"format_version": FORMAT_VERSION}
    for role in ROLES:
        part = getattr(codec, role)
        config[role] = {"name": type(part).__name__, "arguments": arguments_of(part)}
    settings = {name: getattr(codec, name) for name in SETTINGS if name != "bitrates"}
    return config | settings | {"bitrates": codec.chosen_bitrates}


def save(codec: Codec, directory: Path, half: bool = False) -> None:
    """Write a codec; each of the two files is written atomically.

    Args:
        codec: codec to write; weight norm is folded.
        directory: folder of both files, created if missing.
        half: whether numbers are written as float16; the codec that is loaded from them has another identity.

    Raises:
        ValueError: a part does not store its constructor arguments.
    """
    config = json.dumps(config_of(codec), indent=2) + "\n"
    tensors = folded_tensors(codec)
    if half:
        tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    with replacing(directory / TENSORS) as temporary:
        _write_tensors(tensors, temporary)
    write_atomically(directory / CONFIG, config)


def _write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    try:
        save_file(tensors, path, {"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"the tensors cannot be written: {error}") from error


def load(path: Path | str, parts: Sequence[type] = (), for_training: bool = False) -> Codec:
    """Read a codec, in evaluation mode, on the CPU.

    Args:
        path: folder of ``save``; folder of a run (or its name in ``runs``), of which ``codec/`` is read; folder of
            ``transformers``' ``save_pretrained`` of EncodecModel or DacModel; file released by the authors of EnCodec
            (``.th``) or of DAC (``weights.pth``); ``box`` for the built-in codec; or, where no such path exists, a hub
            id ``owner/name``.
        parts: classes of the caller's own parts.
        for_training: whether weight norm is restored where the parts have it (equal up to rounding); otherwise weights
            are plain, and codes and audio equal those of the saved codec bit for bit.

    Raises:
        ValueError: there is no codec, or it cannot be loaded; the message names the difference.
    """
    codec = _read(path, parts, for_training)
    if not for_training:
        lay_out(codec)
        keep_freed_memory()
    return codec


def _read(path: Path | str, parts: Sequence[type], for_training: bool) -> Codec:
    local = BOX_FOLDER if is_box(path) else located(path)
    if local.is_file():
        return _load_file(local, for_training)
    if not local.exists() and (is_local(str(path)) or not is_hub_id(str(path))):
        raise ValueError(missing(str(path)))
    folder = _folder_of(local if local.exists() else hub_folder(str(path)))
    config = _read_config(folder / CONFIG)
    tensors = _read_tensors(folder)
    if "model_type" in config:
        return from_transformers(config, tensors, str(folder), for_training)
    built: dict[str, nn.Module] = {}
    for role in ROLES:
        built[role] = build_part(role, config[role]["name"], config[role]["arguments"], parts)
        # Fold before the weights are loaded: splitting them into length and direction and joining them again rounds.
        if not for_training:
            fold(built[role])
        fill(built[role], _take(role, built[role], tensors), f"{folder / TENSORS} ({role})")
    if tensors:
        raise ValueError(f"{folder / TENSORS} holds tensors of no part: {some_of(list(tensors))}")
    codec = Codec(
        cast(Encoder, built["encoder"]),
        cast(Quantizer, built["quantizer"]),
        cast(Decoder, built["decoder"]),
        **{name: config[name] for name in SETTINGS},
    )
    return codec.eval()


def identity(codec: Codec) -> str:
    """The identity of a codec's function: ``v1-`` and 32 hexadecimal digits.

    It is a hash of the folded tensors (names, types, shapes, bytes) and of the settings that change decoding: sampling
    rate, channels, segment, overlap and normalization. Saving and loading a codec does not change its identity.
    """
    digest = hashlib.sha256()
    segment = None if codec.segment is None else float(codec.segment)
    settings = [codec.sample_rate, codec.channels, segment, float(codec.overlap), bool(codec.normalize)]
    digest.update(json.dumps(settings).encode())
    for name, tensor in folded_tensors(codec).items():
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return f"v1-{digest.hexdigest()[:32]}"


def _take(role: str, part: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A part's tensors by the names they have now, taken out of ``tensors``."""
    own = [name for name in tensors if name.startswith(f"{role}.")]
    return {tensor_name_now(type(part).__name__, name.removeprefix(f"{role}.")): tensors.pop(name) for name in own}


def _load_file(path: Path, for_training: bool) -> Codec:
    """A codec from a file that the authors of EnCodec or DAC released."""
    if path.name in (CONFIG, TENSORS, OLDER_FILE):
        raise ValueError(f"{path} is one file of a codec's folder; give the folder, {path.parent}")
    content = read_torch_file(path)
    if is_original_dac(content):
        _check_tensors(content["state_dict"], path)
        return from_original_dac(content, str(path), for_training)
    _check_tensors(content, path)
    if is_original_encodec(content):
        return from_original_encodec(content, str(path), for_training)
    raise ValueError(
        f"{path} is neither EnCodec's state dict (encoder.model.…) nor DAC's weights.pth (state_dict and metadata); "
        f"it holds {some_of([str(name) for name in content])}"
    )


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    if not (folder / TENSORS).is_file():
        tensors = read_torch_file(folder / OLDER_FILE)
        _check_tensors(tensors, folder / OLDER_FILE)
        return tensors
    try:
        return load_file(folder / TENSORS)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{folder / TENSORS} cannot be read: {error}") from error


def _check_tensors(content: Any, path: Path) -> None:
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path} holds a {type(content).__name__} where a dict of named tensors should be")
    other = [str(name) for name, value in content.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if other:
        raise ValueError(
            f"{path} should hold tensors by name, or DAC's state_dict and metadata; these entries are neither: "
            f"{some_of(other)}"
        )


def _folder_of(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder; a codec is a folder with {CONFIG} and {TENSORS}")
    folder = path if (path / CONFIG).is_file() or not (path / "codec").is_dir() else path / "codec"
    # Older folders of transformers have the tensors in torch's own format; ours never do.
    config = folder / CONFIG
    older = (folder / OLDER_FILE).is_file() and config.is_file() and "model_type" in _read_config(config)
    missing = [name for name in ([CONFIG] if older else [CONFIG, TENSORS]) if not (folder / name).is_file()]
    if missing:
        if (path / RUN_CONFIG).is_file():
            raise ValueError(
                f"{path} is a run, and this run has not saved a codec yet; repeat its command to finish it"
            )
        raise ValueError(f"{folder} lacks {' and '.join(missing)}; a codec is a folder with {CONFIG} and {TENSORS}")
    return folder


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if isinstance(config, dict) and "model_type" in config:
        return config
    if not isinstance(config, dict) or not isinstance(config.get("format_version"), int):
        raise ValueError(f"{path} is not a codec's: it has no format_version; Codec.save writes {FORMAT_VERSION}")
    if config["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format_version {config['format_version']}; this codeclab reads up to "
            f"{FORMAT_VERSION}: upgrade it"
        )
    missing = [name for name in (*ROLES, *SETTINGS) if name not in config]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    for role in ROLES:
        if not isinstance(config[role], dict) or set(config[role]) != {"name", "arguments"}:
            raise ValueError(f"{path}: {role} should have a name and arguments; it is {config[role]!r}")
    return config
