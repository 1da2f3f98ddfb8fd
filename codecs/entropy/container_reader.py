"""A ``.clc`` file (``container``) read piece by piece: its codes, and where damage took some away."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy.coders import Array, CodesCoder
from codeclab.codecs.entropy.container import (
    CHUNK,
    CRC,
    LAST,
    SCALE,
    ContainerError,
    Header,
    check_header,
    chunk_unit,
    parse_header,
    read_varint,
)
from codeclab.codecs.wording import by_number, counted
from codeclab.quantizers.base import ABSENT

LONGEST_GAP = 3600.0
"""Seconds that may be missing between two chunks; a file that claims more is refused."""

QUIET = 1e-8
"""Level of a segment that is missing."""

PATIENCE = 64
"""Times its own size that a file may be searched for chunks."""


@dataclass(frozen=True)
class Damage:
    """What is missing of a recording.

    Attributes:
        start: seconds.
        end: seconds; None where nobody knows.
        reason: why, in words.
    """

    start: float
    end: float | None
    reason: str

    def __str__(self) -> str:
        return f"{self.start:.2f} s to {'the end' if self.end is None else f'{self.end:.2f} s'}: {self.reason}"


@dataclass(frozen=True)
class Piece:
    """The next codes of a file.

    Attributes:
        codes: of a chunk; ``ABSENT`` where it is damaged.
        damage: what is missing of it, or None.
    """

    codes: Codes
    damage: Damage | None = None


@dataclass(frozen=True)
class _Chunk:
    """A chunk that stands in the data: its number, the whole length where it is the last, its payload and its end."""

    number: int
    total: int | None
    payload: bytes
    end: int


@dataclass(frozen=True)
class _Located:
    """A chunk, the number that should have come, and whether bytes were skipped before it."""

    chunk: _Chunk
    expected: int
    skipped: bool


@dataclass(frozen=True)
class _Payload:
    """What a chunk's payload holds: frames and level of each segment, and the bytes of the codes."""

    frames: list[int]
    scales: list[Tensor] | None
    coded: bytes


class ContainerReader:
    """Makes codes of a file's bytes while they come; damage costs the chunks it hits.

    Args:
        codec: whose codes they should be.
        coder_for: gives the coder that a header asks for, or raises a ``ValueError`` that says what is missing.

    Attributes:
        header: once it was read, else None.
        damage: what is missing so far.
    """

    def __init__(self, codec: Codec, coder_for: Callable[[Header], CodesCoder]) -> None:
        self.header: Header | None = None
        self.damage: list[Damage] = []
        self._codec, self._coder_for = codec, coder_for
        self._data = b""
        self._seen = 0
        self._searched = 0
        self._next = 0
        self._ended = False
        self._trailing = 0
        self._coder: CodesCoder | None = None

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that are complete after more bytes.

        Raises:
            ContainerError: the file is none of this codec's; the message says why.
        """
        self._seen += len(data)
        if self._ended:
            self._trailing += len(data)
            return []
        self._data += data
        if self.header is None and not self._read_header():
            return []
        return self._read_chunks(at_end=False)

    def finish(self) -> list[Piece]:
        """The pieces that are left, now that the file has ended.

        Raises:
            ContainerError: nothing of it can be read.
        """
        if self.header is None:
            raise ContainerError("it ends within its header")
        pieces = self._read_chunks(at_end=True)
        if not self._ended:
            self._note(Damage(self._seconds(self._next), None, "the file ends early"))
        elif self._trailing:
            at = self._seconds(self._next)
            follow = f"{counted(self._trailing, 'byte')} {by_number(self._trailing, 'follows', 'follow')}"
            self._note(Damage(at, at, f"{follow} the end of the recording"))
        return pieces

    def _read_header(self) -> bool:
        found = parse_header(self._data)
        if found is None:
            return False
        header, end = found
        check_header(header, self._codec)
        self._coder = self._coder_for(header)
        if (self._coder.number, self._coder.fingerprint) != (header.coder, header.fingerprint):
            raise ContainerError(
                "its codes were coded by other frequencies or another language model than the codec has here, or on a "
                "machine whose arithmetic differs"
            )
        self.header, self._data = header, self._data[end:]
        return True

    def _read_chunks(self, at_end: bool) -> list[Piece]:
        located: list[_Located] = []
        offset = 0
        while not self._ended and offset < len(self._data):
            found = self._chunk_at(offset)
            if found == "incomplete" and not at_end:
                break
            if not isinstance(found, _Chunk):
                offset = self._candidate(offset + 1)
                continue
            located.append(_Located(found, self._next, offset > 0))
            self._next, self._ended = found.number + 1, found.total is not None
            self._data, offset = self._data[found.end :], 0
        if self._ended:
            self._trailing, self._data = self._trailing + len(self._data), b""
        elif offset:
            # A byte that begins no chunk says that something was skipped.
            self._data = b"\0" + self._data[offset:]
        pieces: list[Piece] = []
        for one, codes in zip(located, self._codes([one.chunk for one in located]), strict=True):
            pieces += self._missing_before(one)
            if isinstance(codes, Codes):
                pieces.append(Piece(codes))
            else:
                pieces.append(self._absent(one.chunk.number, one.chunk.total, str(codes)))
        return pieces

    def _candidate(self, offset: int) -> int:
        """Where the next chunk may begin."""
        found = [at for mark in (CHUNK, LAST) if (at := self._data.find(bytes([mark]), offset)) >= 0]
        return min(found, default=len(self._data))

    def _chunk_at(self, offset: int) -> _Chunk | str:
        """The chunk that begins at a place; ``incomplete`` where its end is not there; ``none`` where none begins."""
        assert self.header is not None
        if self._data[offset] not in (CHUNK, LAST):
            return "none"
        numbers, at = [], offset + 1
        for _ in range(3 if self._data[offset] == LAST else 2):
            read = read_varint(self._data, at)
            if read is None:
                return "incomplete" if len(self._data) - at < 9 else "none"
            numbers.append(read[0])
            at = read[1]
        end = at + numbers[-1]
        if numbers[0] < self._next or numbers[-1] > self._longest_payload():
            return "none"
        if end + CRC.size > len(self._data):
            return "incomplete"
        self._searched += end - offset
        if self._searched > PATIENCE * (self._seen + 4096):
            raise ContainerError("it is made of beginnings of chunks that are none")
        if CRC.unpack_from(self._data, end)[0] != crc32(memoryview(self._data)[offset:end]):
            return "none"
        total = numbers[1] if self._data[offset] == LAST else None
        return _Chunk(numbers[0], total, self._data[at:end], end + CRC.size)

    def _longest_payload(self) -> int:
        """Bytes that no chunk's payload exceeds: levels, and codes of twice their nominal size."""
        assert self.header is not None
        codec, header = self._codec, self.header
        bits = sum(size.bit_length() + 24 for size in codec.quantizer.codebook_sizes[: header.n_codebooks])
        return sum(frames * bits // 8 + SCALE.size for frames in self._frames(self._next, None)) * 2 + 64

    def _missing_before(self, located: _Located) -> list[Piece]:
        """Pieces for the chunks between the last one and this."""
        number, expected = located.chunk.number, located.expected
        missing = number - expected
        if missing and self._seconds(missing) > LONGEST_GAP:
            raise ContainerError(
                f"{self._seconds(missing):.0f} s are missing between two chunks; it is not one recording"
            )
        reason = "damaged" if located.skipped else "missing"
        if located.skipped and not missing:
            self._note(Damage(self._seconds(expected), self._seconds(expected), "bytes that are no chunk"))
        return [self._absent(absent, None, reason) for absent in range(expected, number)]

    def _codes(self, chunks: list[_Chunk]) -> list[Codes | ValueError]:
        """Of each chunk its codes, or what is wrong with it."""
        assert self.header is not None
        assert self._coder is not None
        opened: list[_Payload | ValueError] = []
        for chunk in chunks:
            try:
                opened.append(self._opened(chunk))
            except ValueError as error:
                opened.append(error)
        coded = [(one.coded, sum(one.frames)) for one in opened if isinstance(one, _Payload) and one.frames]
        decoded = iter(self._coder.decode_chunks(coded, self.header.n_codebooks))
        made: list[Codes | ValueError] = []
        for chunk, payload in zip(chunks, opened, strict=True):
            try:
                made.append(self._decoded(chunk, payload, decoded))
            except ValueError as error:
                made.append(error)
        return made

    def _opened(self, found: _Chunk) -> _Payload:
        """A chunk's levels, and the bytes of its codes."""
        frames = self._frames(found.number, found.total)
        scales, data = None, found.payload
        if self._codec.normalize:
            scales = [_level(data, index) for index in range(len(frames))]
            data = data[SCALE.size * len(frames) :]
        if not frames and data:
            raise ValueError(f"{counted(len(data), 'byte')} where no codes are")
        return _Payload(frames, scales, data)

    def _decoded(self, found: _Chunk, payload: _Payload | ValueError, decoded: Iterator[Array | ValueError]) -> Codes:
        """A chunk's codes; those of its bytes are the next of ``decoded`` where it has any."""
        if isinstance(payload, ValueError):
            raise payload
        if not payload.frames:
            return self._made(found, [], payload.scales)
        values = next(decoded)
        if isinstance(values, ValueError):
            raise values
        codes = torch.from_numpy(values).long()
        sizes = torch.tensor(self._codec.quantizer.codebook_sizes[: len(codes)])[:, None]
        if (codes >= sizes).any():
            raise ValueError("a code is none of its codebook's entries")
        return self._made(found, [part[None] for part in codes.split(payload.frames, dim=1)], payload.scales)

    def _absent(self, number: int, total: int | None, reason: str) -> Piece:
        """The piece of a chunk that cannot be read."""
        assert self.header is not None
        frames = self._frames(number, total) if self._plausible(number, total) else []
        gaps = [torch.full((1, self.header.n_codebooks, count), ABSENT, dtype=torch.int64) for count in frames]
        scales = [torch.full((1, 1, 1), QUIET) for _ in frames] if self._codec.normalize else None
        codes = self._made(_Chunk(number, total if frames else None, b"", 0), gaps, scales)
        damage = Damage(self._seconds(number), self._seconds(number) + codes.seconds, reason)
        self._note(damage)
        return Piece(codes, damage)

    def _made(self, found: _Chunk, segments: list[Tensor], scales: list[Tensor] | None) -> Codes:
        assert self.header is not None
        start = found.number * self.header.chunk * chunk_unit(self._codec)
        length = self.header.chunk * chunk_unit(self._codec) if found.total is None else max(found.total - start, 0)
        codec = self._codec
        device = next(codec.parameters()).device
        kbps = codec.bitrate_of(self.header.n_codebooks)
        return Codes(segments, scales, length if segments else 0, codec.sample_rate, kbps).to(device)

    def _plausible(self, number: int, total: int | None) -> bool:
        try:
            self._frames(number, total)
        except ValueError:
            return False
        return True

    def _frames(self, number: int, total: int | None) -> list[int]:
        """Frames of each segment of a chunk, of a codec that does not cut in one.

        Raises:
            ValueError: the length of the whole does not fit the chunk's number.
        """
        assert self.header is not None
        chunk, cut, hop = self.header.chunk, self._codec.segments, self._codec.hop_length
        if total is None:
            return [chunk] if cut is None else [-(-cut.length // hop)] * chunk
        start = number * chunk * chunk_unit(self._codec)
        most = chunk * chunk_unit(self._codec) + (0 if cut is None else cut.length)
        if not -hop < total - start <= most:
            raise ValueError(f"a whole of {counted(total, 'sample')} does not fit the last chunk's number {number}")
        if cut is None:
            return [frames] if (frames := -(-(total - start) // hop)) > 0 else []
        return [-(-(stop - begin) // hop) for begin, stop in cut.spans(max(total - start, 0))]

    def _seconds(self, chunks: int) -> float:
        assert self.header is not None
        return chunks * self.header.chunk * chunk_unit(self._codec) / self._codec.sample_rate

    def _note(self, damage: Damage) -> None:
        """Keep what is missing; chunks in a row as one."""
        last = self.damage[-1] if self.damage else None
        if last and last.end == damage.start and last.reason == damage.reason:
            self.damage[-1] = Damage(last.start, damage.end, last.reason)
        else:
            self.damage.append(damage)


def read_container(
    path: Path | str, codec: Codec, coder_for: Callable[[Header], CodesCoder]
) -> tuple[Codes, list[Damage]]:
    """The codes of one recording, for ``codec.decode``, and what is missing of it.

    Args:
        path: of the file.
        codec: whose codes they should be.
        coder_for: gives the coder that a header asks for.

    Raises:
        ContainerError: no file of this codec's codes; the message says what is wrong with it.
    """
    reader = ContainerReader(codec, coder_for)
    try:
        pieces = reader.feed(Path(path).read_bytes()) + reader.finish()
    except ValueError as error:
        raise ContainerError(f"{path} cannot be read: {error}") from error
    segments = [segment for piece in pieces for segment in piece.codes.segments]
    if not segments:
        raise ContainerError(f"{path} cannot be read: no chunk of it is whole")
    scales = [scale for piece in pieces for scale in piece.codes.scales or []] if codec.normalize else None
    if codec.segments is None:
        segments = [torch.cat(segments, dim=-1)]
    length = sum(piece.codes.length for piece in pieces)
    codes = Codes(segments, scales, length, codec.sample_rate, 0.0)
    codes.bitrate = codec.bitrate_of_codes(codes)
    return codes, reader.damage


def _level(data: bytes, index: int) -> Tensor:
    if len(data) < SCALE.size * (index + 1):
        raise ValueError("the level of a segment is missing")
    (level,) = SCALE.unpack_from(data, SCALE.size * index)
    if not (math.isfinite(level) and level > 0):
        raise ValueError(f"the level of a segment is {level}; it should be positive and finite")
    return torch.tensor([[[level]]], dtype=torch.float32)
