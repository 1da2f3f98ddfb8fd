"""Folders of the Hugging Face hub, downloaded once and then read from its cache."""

import re
from pathlib import Path

from codeclab.codecs.wording import first_line

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""``owner/name``."""

FILES = ["config.json", "model.safetensors"]
OLDER_FILE = "pytorch_model.bin"


def is_hub_id(text: str) -> bool:
    """Whether a text has the form of a hub id, ``owner/name``."""
    return HUB_ID.fullmatch(text) is not None


def hub_folder(name: str) -> Path:
    """The local folder of a hub id in the hub's cache, to which it is downloaded if missing.

    Only ``config.json`` and ``model.safetensors`` are downloaded, or, if there is none of the latter,
    ``pytorch_model.bin``.

    Args:
        name: hub id, ``owner/name``.

    Raises:
        ValueError: the folder is not available; the message says why, and how to use a folder downloaded elsewhere.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ValueError(
            f"{name} is not a file or folder here; as a hub id it needs huggingface_hub: pip install 'codeclab[hub]'"
        ) from error
    try:
        folder = Path(snapshot_download(name, allow_patterns=FILES))
        if not (folder / FILES[1]).is_file():
            folder = Path(snapshot_download(name, allow_patterns=[FILES[0], OLDER_FILE]))
    # The client raises errors of its own, of the HTTP library and of the system.
    except Exception as error:
        reason = first_line(error)
        raise ValueError(
            f"{name} is not a file or folder here, and the hub does not give it ({reason}). On a machine with a "
            f"network: `hf download {name} {' '.join(FILES)} --local-dir DIR`, then give DIR"
        ) from error
    return folder
