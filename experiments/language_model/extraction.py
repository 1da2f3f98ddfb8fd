"""A codec's codes of every recording of a split, extracted once and kept in a file."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from codeclab.benchmarks.evaluate.progress import progress_bar
from codeclab.codecs.codec import Codec
from codeclab.codecs.io.files import replacing
from codeclab.codecs.io.folder import identity
from codeclab.codecs.wording import counted
from codeclab.experiments.data.recording import Corpus, DataError, Recording

LONGEST_SECONDS = 30.0
"""Of a recording that are coded at once; longer ones are cut into such pieces."""

KIND = "codeclab codes of a corpus, version 1"


@dataclass(frozen=True)
class SplitCodes:
    """The codes of one split, recording after recording.

    Attributes:
        codes: codes of all codebooks, ``[K, T]``.
        starts: frame at which each piece begins, and at the end ``T``.
        domains: domain of each piece.
    """

    codes: NDArray[np.int32]
    starts: NDArray[np.int64]
    domains: list[str]

    def counts(self, sizes: list[int]) -> NDArray[np.int64]:
        """How often each entry was chosen, ``[K, size]``."""
        return np.stack([np.bincount(row, minlength=size) for row, size in zip(self.codes, sizes, strict=True)])


def split_codes(codec: Codec, corpus: Corpus, split: str, folder: Path) -> SplitCodes:
    """The codes of a split's recordings by a codec in evaluation mode, kept in a folder as ``codes_SPLIT.safetensors``.

    They are read where they were extracted before, by this codec from these files.

    Raises:
        DataError: the split holds nothing that can be read.
    """
    recordings = corpus.split(split)
    origin = _origin(codec, recordings)
    path = folder / f"codes_{split}.safetensors"
    stored = _read(path, origin)
    if stored is not None:
        return stored
    extracted = _extract(codec, corpus, recordings, f"codes of {split}")
    about = {"kind": KIND, "origin": origin, "domains": json.dumps(extracted.domains)}
    with replacing(path) as temporary:
        save_file(
            {"codes": torch.from_numpy(extracted.codes), "starts": torch.from_numpy(extracted.starts)}, temporary, about
        )
    return extracted


def _origin(codec: Codec, recordings: list[Recording]) -> str:
    """A digest of what the codes are made of: the codec, and which files of which lengths and dates."""
    digest = hashlib.sha256(identity(codec).encode())
    for one in recordings:
        changed = one.path.stat().st_mtime_ns if one.path.is_file() else 0
        digest.update(json.dumps([one.name, one.domain, round(one.seconds, 4), changed]).encode())
    return digest.hexdigest()


def _read(path: Path, origin: str) -> SplitCodes | None:
    try:
        with safe_open(path, "np") as file:
            about = file.metadata() or {}
            if (about.get("kind"), about.get("origin")) != (KIND, origin):
                return None
            return SplitCodes(file.get_tensor("codes"), file.get_tensor("starts"), json.loads(about["domains"]))
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


@torch.no_grad()
def _extract(codec: Codec, corpus: Corpus, recordings: list[Recording], title: str) -> SplitCodes:
    device = next(codec.parameters()).device
    parts: list[NDArray[np.int32]] = []
    domains: list[str] = []
    with progress_bar(title, len(recordings), True, "recording") as step:
        for recording in recordings:
            for start in np.arange(0, recording.seconds, LONGEST_SECONDS):
                seconds = min(LONGEST_SECONDS, recording.seconds - start)
                audio = corpus.read(recording, float(start), seconds, codec.sample_rate, codec.channels)
                if audio.shape[-1] < codec.hop_length:
                    continue
                pieces = codec.encode(audio[None].to(device), n_codebooks=codec.quantizer.n_codebooks).segments
                # Each segment of a codec that cuts audio is coded on its own, and so it is learnt.
                parts += [piece[0].cpu().numpy().astype(np.int32) for piece in pieces]
                domains += [recording.domain] * len(pieces)
            step()
    if not parts:
        raise DataError(
            f"{corpus.name} has no recording as long as a frame ({counted(codec.hop_length, 'sample')}) or more"
        )
    starts = np.cumsum([0, *(part.shape[1] for part in parts)], dtype=np.int64)
    return SplitCodes(np.concatenate(parts, axis=1), starts, domains)
