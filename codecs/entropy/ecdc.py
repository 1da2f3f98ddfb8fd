"""``.ecdc`` files: a codec's codes as bytes, in the format of EnCodec's released code.

A file is ``ECDC``, a zero byte, the header's length (32 bits, big-endian), the header as JSON, and the segments. The
header holds the model's name ``m``, samples per channel ``al``, codebooks ``nc`` and whether a language model was used
``lm``. A segment is its level (a big-endian 32-bit float) if the codec normalizes, then its codes, frame by frame. The
codes are packed, or arithmetic-coded with a language model. Coder and model restart with every segment.

A file with a language model can be read only where the model computes the same probabilities bit for bit: with the same
weights on the same kind of machine, with the same version and number of threads of torch.
"""

import json
import math
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_type_hints

import torch
from torch import Tensor

from codeclab.codecs.codec import Codec, Codes
from codeclab.codecs.codes import checked
from codeclab.codecs.entropy.arithmetic_coder import ArithmeticDecoder, ArithmeticEncoder, quantized_cdf
from codeclab.codecs.entropy.bit_packing import pack, packed_size, unpack
from codeclab.codecs.entropy.language_model import LanguageModel
from codeclab.codecs.io.folder import identity
from codeclab.codecs.wording import by_number, counted

MAGIC = b"ECDC"
PREFIX = struct.Struct(">4sBI")
SCALE = struct.Struct(">f")
LONGEST_HEADER = 4096
"""Upper limit of the JSON's size, bytes; it usually has about 60."""


@dataclass(frozen=True)
class _Header:
    """The JSON header of a file: model, samples per channel, codebooks, and whether a language model was used."""

    m: str
    al: int
    nc: int
    lm: bool


def write_ecdc(
    path: Path | str, codes: Codes, codec: Codec, language_model: LanguageModel | None = None, model: str | None = None
) -> None:
    """Write the codes of one recording.

    Args:
        path: path of the file.
        codes: codes of audio ``[1, C, N]``, from ``codec.encode``.
        codec: codec of the codes.
        language_model: language model whose predictions code the codes; None packs them.
        model: name of the codec in the file, such as ``encodec_24khz``; None takes its identity.

    Raises:
        ValueError: there are several recordings, or the codes do not fit the codec or the language model.
    """
    codes, count = _checked(codes, codec)
    _check_language_model(language_model, codec, count)
    header = _Header(identity(codec) if model is None else model, codes.length, count, language_model is not None)
    text = json.dumps(asdict(header)).encode()
    if len(text) > LONGEST_HEADER:
        raise ValueError(f"the model's name makes a header of {len(text)} bytes; at most {LONGEST_HEADER} are read")
    parts = [PREFIX.pack(MAGIC, 0, len(text)), text]
    for index, segment in enumerate(codes.segments):
        if codes.scales is not None:
            parts.append(SCALE.pack(float(codes.scales[index])))
        if language_model is None:
            parts.append(pack(segment[0].T.reshape(-1).cpu().numpy(), _width(codec, count)))
        else:
            parts.append(_encoded(segment, language_model))
    Path(path).write_bytes(b"".join(parts))


def read_ecdc(
    path: Path | str, codec: Codec, language_model: LanguageModel | None = None, model: str | None = None
) -> Codes:
    """Read the codes of one recording, for ``codec.decode``.

    Args:
        path: path of the file.
        codec: codec of the codes.
        language_model: language model with which the codes were coded; None if they are packed.
        model: name of the codec in the file, such as ``encodec_24khz``; None expects its identity.

    Raises:
        ValueError: the file does not hold codes of this codec, or is damaged; the message says why.
    """
    data = Path(path).read_bytes()
    try:
        header, offset = _read_header(data)
        expected = identity(codec) if model is None else model
        if header.m != expected:
            raise ValueError(f"its codes are of the model {header.m!r}; this codec is {expected!r}")
        count = codec.quantizer.check_n_codebooks(header.nc)
        if header.lm and language_model is None:
            raise ValueError("it was coded by a language model, which is needed to read it")
        _check_language_model(language_model if header.lm else None, codec, count)
        return _read_segments(data, offset, header, codec, language_model)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _read_header(data: bytes) -> tuple[_Header, int]:
    """The header, and where the segments begin."""
    if len(data) < PREFIX.size or data[:4] != MAGIC:
        raise ValueError("it is not an .ecdc file, which begins with ECDC, a version and the length of a header")
    _, version, size = PREFIX.unpack_from(data)
    if version != 0:
        raise ValueError(f"it is of version {version} of the format; version 0 is known")
    if size > min(LONGEST_HEADER, len(data) - PREFIX.size):
        raise ValueError(
            f"its header should have {counted(size, 'byte')}, more than there are or than {LONGEST_HEADER}"
        )
    try:
        content = json.loads(data[PREFIX.size : PREFIX.size + size])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its header is not JSON ({error})") from error
    if not isinstance(content, dict) or {key: type(value) for key, value in content.items()} != get_type_hints(_Header):
        raise ValueError("its header should hold m (a text), al and nc (whole numbers) and lm (true or false) alone")
    if content["al"] < 1:
        raise ValueError(f"its header says {counted(content['al'], 'sample')}; there should be at least 1")
    return _Header(**content), PREFIX.size + size


def _read_segments(
    data: bytes, offset: int, header: _Header, codec: Codec, language_model: LanguageModel | None
) -> Codes:
    # A damaged header must not allocate memory: each segment's bytes are checked before a tensor of its size is
    # created.
    segments, scales = [], []
    device = next(codec.parameters()).device
    width = _width(codec, header.nc)
    for start, end in codec.spans(header.al):
        frames = -(-(end - start) // codec.hop_length)
        if codec.normalize:
            scales.append(_read_scale(data, offset).to(device))
            offset += SCALE.size
        if header.lm:
            assert language_model is not None
            segment, offset = _decoded(data, offset, frames, header.nc, language_model)
        else:
            size = packed_size(width, frames * header.nc)
            if size > len(data) - offset:
                take = by_number(frames, "takes", "take")
                needed = f"{counted(frames, 'frame')} of a segment {take} {counted(size, 'byte')}"
                raise ValueError(f"it ends too early: {needed}")
            values = unpack(data[offset : offset + size], width, frames * header.nc)
            segment, offset = torch.from_numpy(values).reshape(1, frames, header.nc).transpose(1, 2), offset + size
        _check_range(segment, codec)
        segments.append(segment.contiguous().to(device))
    if offset != len(data):
        more = len(data) - offset
        follow = f"{counted(more, 'byte')} {by_number(more, 'follows', 'follow')}"
        raise ValueError(f"{follow} the {counted(header.al, 'sample')} that its header says")
    codes = Codes(segments, scales if codec.normalize else None, header.al, codec.sample_rate, 0.0)
    codes.bitrate = codec.bitrate_of_codes(codes)
    return codes


def _read_scale(data: bytes, offset: int) -> Tensor:
    if len(data) - offset < SCALE.size:
        raise ValueError("it ends too early: the level of a segment is missing")
    (scale,) = SCALE.unpack_from(data, offset)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"the level of a segment is {scale}; it should be positive and finite")
    return torch.tensor([[[scale]]], dtype=torch.float32)


@torch.no_grad()
def _encoded(codes: Tensor, language_model: LanguageModel) -> bytes:
    """A segment's codes ``[1, K, T]``, arithmetic-coded with the step-by-step predictions that a reader makes."""
    coder = ArithmeticEncoder()
    previous, state = _first_input(codes.shape[1], language_model), None
    for frame in codes[0].T:
        probabilities, state = language_model.probabilities(previous, state)
        for symbol, cdf in zip(frame.tolist(), quantized_cdf(probabilities[0, :, :, 0].T).tolist(), strict=True):
            coder.encode(symbol, cdf)
        previous = 1 + frame.to(previous.device).reshape(previous.shape)
    return coder.finish()


@torch.no_grad()
def _decoded(
    data: bytes, offset: int, frames: int, n_codebooks: int, language_model: LanguageModel
) -> tuple[Tensor, int]:
    """The codes ``[1, K, T]`` of a segment that begins at ``offset``, and the position after it."""
    coder = ArithmeticDecoder(data, offset)
    previous, state = _first_input(n_codebooks, language_model), None
    decoded: list[list[int]] = []
    while len(decoded) < frames:
        probabilities, state = language_model.probabilities(previous, state)
        decoded.append([coder.decode(cdf) for cdf in quantized_cdf(probabilities[0, :, :, 0].T).tolist()])
        previous = 1 + torch.tensor(decoded[-1], device=previous.device).reshape(previous.shape)
    return torch.tensor(decoded).T[None], coder.finish()


def _first_input(n_codebooks: int, language_model: LanguageModel) -> Tensor:
    """The language model's input at the first time step, ``[1, K, 1]``."""
    device = next(language_model.parameters()).device
    return torch.zeros(1, n_codebooks, 1, dtype=torch.int64, device=device)


def _width(codec: Codec, n_codebooks: int) -> int:
    """Bits of a packed code, as the largest codebook needs them."""
    return max((max(codec.quantizer.codebook_sizes[:n_codebooks]) - 1).bit_length(), 1)


def _checked(codes: Codes, codec: Codec) -> tuple[Codes, int]:
    """The codes as int64 and their number of codebooks; refused if not of one recording and of this codec."""
    codes = checked(codes, codec)
    shapes = [list(segment.shape) for segment in codes.segments]
    count = codec.quantizer.check_n_codebooks(shapes[0][1] if shapes else 0)
    right = [[1, count, -(-(end - start) // codec.hop_length)] for start, end in codec.spans(codes.length)]
    if shapes != right:
        raise ValueError(
            f"codes of {counted(codes.length, 'sample')} should be of shapes {right[:4]} …; these are {shapes[:4]} …"
        )
    if codes.scales is not None and len(codes.scales) != len(shapes):
        raise ValueError(f"segments and levels should be as many; there are {len(shapes)} and {len(codes.scales)}")
    for segment in codes.segments:
        _check_range(segment, codec)
    return codes, count


def _check_range(codes: Tensor, codec: Codec) -> None:
    sizes = torch.tensor(codec.quantizer.codebook_sizes[: codes.shape[1]], device=codes.device)
    if ((codes < 0) | (codes >= sizes[:, None])).any():
        raise ValueError(f"a code is not an entry of its codebook; entries are 0 to at most {int(sizes.max()) - 1}")


def _check_language_model(language_model: LanguageModel | None, codec: Codec, n_codebooks: int) -> None:
    if language_model is None:
        return
    sizes = codec.quantizer.codebook_sizes[:n_codebooks]
    if n_codebooks > language_model.n_codebooks or set(sizes) != {language_model.codebook_size}:
        raise ValueError(
            f"the language model is for {counted(language_model.n_codebooks, 'codebook')} of "
            f"{language_model.codebook_size} entries; the codes are of {n_codebooks} of {sorted(set(sizes))}"
        )
