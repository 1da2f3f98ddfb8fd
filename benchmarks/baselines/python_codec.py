"""Anybody's codec: a Python file with ``encode`` and ``decode``."""

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codeclab.benchmarks.baselines.base import NotInstalledError, offered_rate
from codeclab.benchmarks.baselines.tokens import TokenCodec, Tokens
from codeclab.codecs.io.python_file import run_file
from codeclab.codecs.wording import counted

PROBE_SECONDS = 10
EXAMPLE = "as in: sample_rate = 24000; codebook_sizes = [4096] * 3; def encode(audio): …; def decode(codes): …"


class PythonCodec(TokenCodec):
    """A codec in a Python file.

    The file has at its top level

    - ``sample_rate``: Hz (``channels`` and ``decoded_rate`` where they are not 1 and the same),
    - ``encode(audio)``, or ``encode(audio, bitrate)`` with ``bitrates`` in kbps: samples ``float32 [C, N]`` to codes:
      whole numbers ``[K, T]`` or ``[1, K, T]``; or a list with those of each codebook, ``[T_k]`` or ``[1, T_k]``, where
      they run at several frame rates (SNAC); or ``bytes``, where it has its own entropy coder,
    - ``decode(codes)``: what ``encode`` gave to samples ``[C, M]``, ``[1, C, M]`` or ``[M]``,
    - ``codebook_sizes``: entries of each codebook, most significant first; not where ``encode`` gives bytes.

    Its kbps follow from the output of ``encode``: ``log2(size)`` bits a code, 8 a byte. Its parameters are those of the
    modules at the top level, or the number ``parameters``. For SNAC::

        from snac import SNAC
        model = SNAC.from_pretrained("hubertsiuzdak/snac_24khz").eval()
        sample_rate, codebook_sizes = 24000, [4096] * 3
        encode, decode = lambda audio: model.encode(audio[None]), model.decode

    Args:
        file: the Python file; it is run.
        name: name of the codec in tables; None is the file's ``name``, else the name of the file.

    Raises:
        ValueError: there is no such file, it fails, or lacks one of these; the message says which.
        NotInstalledError: it imports a package that is not there.
    """

    def __init__(self, file: str, name: str | None = None) -> None:
        path = Path(file).expanduser()
        self.file = file
        if not path.is_file() or path.suffix != ".py":
            raise ValueError(f"{file} is not a Python file; write a codec in one, {EXAMPLE}")
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        self._module = _run(path)
        self.name = str(name or getattr(self._module, "name", path.stem))
        self._encode = self._function("encode")
        self._decode = self._function("decode")
        self._takes_rate = len(inspect.signature(self._encode).parameters) > 1
        rate = self._number("sample_rate")
        if rate is None:
            raise ValueError(f"{file} has no sample_rate (in Hz); set it, {EXAMPLE}")
        self.sample_rate = rate
        self.channels = self._number("channels") or 1
        self.decoded_rate = self._number("decoded_rate") or rate
        self.codebook_sizes = [int(size) for size in getattr(self._module, "codebook_sizes", [])]
        if any(size < 1 for size in self.codebook_sizes):
            raise ValueError(
                f"codebook_sizes of {file} are {self.codebook_sizes}; each should be a number of entries "
                "above 0, as in [1024, 1024]"
            )
        rates = getattr(self._module, "bitrates", None)
        if self._takes_rate and not rates:
            raise ValueError(f"encode of {file} takes a bitrate, so `bitrates` should list those it offers, in kbps")
        if not self._takes_rate and rates and len(rates) > 1:
            raise ValueError(
                f"{file} lists {counted(len(rates), 'bitrate')}, but its encode takes no bitrate: write encode(audio, "
                "bitrate)"
            )
        self.bitrates = sorted(float(rate) for rate in rates) if rates else [self._probed()]

    def encode(self, audio: Tensor, bitrate: float) -> Tokens:
        """Samples ``[C, N]`` at ``sample_rate`` to codes; see ``TokenCodec``."""
        return self._tokens(audio, offered_rate(self, bitrate))

    @torch.no_grad()
    def decode(self, tokens: Tokens) -> Tensor:
        """The output of ``encode`` to samples ``[C, M]`` at ``decoded_rate``."""
        decoded = torch.as_tensor(self._decode(tokens.content)).float().cpu()
        if decoded.numel() == 0 or math.prod(decoded.shape[:-1]) != self.channels:
            raise RuntimeError(
                f"decode of {self.file} gave {list(decoded.shape)}; it should be [{self.channels}, M] samples"
            )
        return decoded.reshape(self.channels, -1)

    def parameters(self) -> int | None:
        """Number of weights of the file's modules, or its ``parameters``; None if it has neither."""
        stated = self._number("parameters")
        modules = [value for value in vars(self._module).values() if isinstance(value, nn.Module)]
        if stated is not None or not modules:
            return stated
        return sum(parameter.numel() for parameter in nn.ModuleList(modules).parameters())

    def _probed(self) -> float:
        """The kbps of ten seconds of noise."""
        shape = (self.channels, PROBE_SECONDS * self.sample_rate)
        tokens = self._tokens(0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0)), None)
        return self.bits(tokens) / PROBE_SECONDS / 1000

    @torch.no_grad()
    def _tokens(self, audio: Tensor, bitrate: float | None) -> Tokens:
        content = self._encode(audio, bitrate) if self._takes_rate else self._encode(audio)
        if isinstance(content, bytes):
            return Tokens([], content, 8 * len(content))
        codes = [_of_codebook(part, self.file) for part in _parts(content, self.file)]
        if len(codes) > len(self.codebook_sizes):
            raise ValueError(
                f"encode of {self.file} gave codes of {counted(len(codes), 'codebook')} and codebook_sizes has "
                f"{len(self.codebook_sizes)}: say how many entries each has"
            )
        for code, size in zip(codes, self.codebook_sizes, strict=False):
            if int(code.min()) < 0 or int(code.max()) >= size:
                raise ValueError(f"encode of {self.file} gave codes outside 0 to {size - 1}, its codebook_sizes less 1")
        return Tokens(codes, content)

    def _function(self, name: str) -> Callable[..., Any]:
        function = getattr(self._module, name, None)
        if not callable(function):
            raise ValueError(f"{self.file} has no function {name}; write it, {EXAMPLE}")
        return function

    def _number(self, name: str) -> int | None:
        value = getattr(self._module, name, None)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{name} of {self.file} is {value!r}; it should be a whole number above 0")
        return value


def _run(path: Path) -> ModuleType:
    try:
        return run_file(path, f"codeclab_codec_{path.stem}")
    except ModuleNotFoundError as error:
        raise NotInstalledError(f"{path} imports {error.name}, which is not installed") from error
    except Exception as error:
        raise ValueError(f"{path} fails: {type(error).__name__}: {error}") from error


def _parts(content: Any, file: str) -> Sequence[Any]:
    """The output of an ``encode``, codebook by codebook."""
    if isinstance(content, (list, tuple)) and content and not isinstance(content[0], (int, float)):
        return content
    if isinstance(content, (Tensor, np.ndarray)):
        codes = torch.as_tensor(content)
        codes = codes[0] if codes.ndim == 3 and codes.shape[0] == 1 else codes
        if codes.ndim == 2:
            return list(codes)
    raise ValueError(
        f"encode of {file} gave {_described(content)}; it should give whole numbers [K, T], a list of those of each "
        "codebook, or bytes"
    )


def _of_codebook(part: Any, file: str) -> Tensor:
    code = torch.as_tensor(part)
    if code.is_floating_point() or code.is_complex() or math.prod(code.shape[:-1]) != 1 or code.numel() == 0:
        raise ValueError(
            f"encode of {file} gave {_described(part)} for a codebook; it should be whole numbers [T] or [1, T]"
        )
    return code.reshape(-1).long().cpu()


def _described(content: Any) -> str:
    shape = f" {content.dtype} {list(content.shape)}" if isinstance(content, (Tensor, np.ndarray)) else ""
    return f"a {type(content).__name__}{shape}"
