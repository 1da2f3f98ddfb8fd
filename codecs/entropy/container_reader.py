"""Reader of a ``.clc`` file (``container``) as a stream: its codes, and the spans lost to damage."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from codeclab.codecs.blocks import joined
from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes
from codeclab.codecs.entropy.chunk_decoder import Chunk, ChunkDecoder
from codeclab.codecs.entropy.coders import CodesCoder
from codeclab.codecs.entropy.container import (
    CHUNK,
    CRC,
    LAST,
    ContainerError,
    Header,
    check_header,
    parse_header,
    read_varint,
)
from codeclab.codecs.wording import by_number, counted

LONGEST_GAP = 3600.0
"""Longest gap between two chunks, seconds; a file that claims a longer one is refused."""

FIRST_BYTE = re.compile(re.escape(bytes([CHUNK])) + b"|" + re.escape(bytes([LAST])))
"""First byte of a chunk. Both marks are searched at once: a search for one that is rare would read to the end."""

SEARCH_LIMIT = 64
"""Upper limit of the bytes searched for chunks, as a multiple of the file's size."""


@dataclass(frozen=True)
class Damage:
    """A missing span of a recording.

    Attributes:
        start: start of the span, seconds.
        end: end of the span, seconds; None where it is unknown.
        reason: cause, for messages.
    """

    start: float
    end: float | None
    reason: str

    def __str__(self) -> str:
        return f"{self.start:.2f} s to {'the end' if self.end is None else f'{self.end:.2f} s'}: {self.reason}"


@dataclass(frozen=True)
class ChunkCodes:
    """The codes of a file's next chunk.

    Attributes:
        codes: codes of a chunk; ``ABSENT`` where it is damaged.
        damage: missing span; None where the chunk is intact.
    """

    codes: Codes
    damage: Damage | None = None


class ContainerReader:
    """Turns a stream of a file's bytes into codes; damage loses only the chunks that it hits.

    Args:
        codec: codec whose codes the file must hold.
        coder_for: function that returns the coder for a header, or raises a ``ValueError`` that says what is missing.

    Attributes:
        header: header of the file; None until it was read.
        damage: missing spans so far.
    """

    _decoder: ChunkDecoder
    """Set when the header was read."""

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

    def feed(self, data: bytes) -> list[ChunkCodes]:
        """The chunks that are complete with these bytes.

        Raises:
            ContainerError: the file is not one of this codec; the message says why.
        """
        self._seen += len(data)
        if self._ended:
            self._trailing += len(data)
            return []
        self._data += data
        if self.header is None and not self._read_header():
            return []
        return self._read_chunks(at_end=False)

    def finish(self) -> list[ChunkCodes]:
        """The remaining chunks at the end of the file.

        Raises:
            ContainerError: nothing of it can be read.
        """
        if self.header is None:
            raise ContainerError("it ends within its header")
        chunks = self._read_chunks(at_end=True)
        if not self._ended:
            self._note(Damage(self._decoder.seconds(self._next), None, "the file ends early"))
        elif self._trailing:
            at = self._decoder.seconds(self._next)
            follow = f"{counted(self._trailing, 'byte')} {by_number(self._trailing, 'follows', 'follow')}"
            self._note(Damage(at, at, f"{follow} the end of the recording"))
        return chunks

    def _read_header(self) -> bool:
        header_and_end = parse_header(self._data)
        if header_and_end is None:
            return False
        header, end = header_and_end
        check_header(header, self._codec)
        coder = self._coder_for(header)
        if (coder.number, coder.fingerprint) != (header.coder, header.fingerprint):
            raise ContainerError(
                "its codes were coded with other frequencies or another language model than the codec has, or on a "
                "machine whose arithmetic differs"
            )
        self._decoder = ChunkDecoder(self._codec, header, coder)
        self.header, self._data = header, self._data[end:]
        return True

    def _read_chunks(self, at_end: bool) -> list[ChunkCodes]:
        # Each chunk with the number that was expected, and whether bytes were skipped before it.
        located: list[tuple[Chunk, int, bool]] = []
        # Bytes from ``start`` on are of no chunk yet. They are cut off once, at the end: a cut for each chunk would
        # copy a whole file as often as it has chunks.
        start = offset = 0
        while not self._ended and offset < len(self._data):
            chunk = self._chunk_at(offset)
            if chunk == "incomplete" and not at_end:
                break
            if not isinstance(chunk, Chunk):
                match = FIRST_BYTE.search(self._data, offset + 1)
                offset = len(self._data) if match is None else match.start()
                continue
            located.append((chunk, self._next, offset > start))
            self._next, self._ended = chunk.number + 1, chunk.total is not None
            start = offset = chunk.end
        if self._ended:
            self._trailing, self._data = self._trailing + len(self._data) - start, b""
        elif offset > start:
            # The next call must know that bytes were skipped: a zero byte in front, which begins no chunk, tells it.
            self._data = b"\0" + self._data[offset:]
        else:
            self._data = self._data[start:]
        chunks: list[ChunkCodes] = []
        decoded = self._decoder.codes([chunk for chunk, _, _ in located])
        for (chunk, expected, skipped), codes in zip(located, decoded, strict=True):
            chunks += self._missing_before(chunk.number, expected, skipped)
            if isinstance(codes, Codes):
                chunks.append(ChunkCodes(codes))
            else:
                chunks.append(self._absent(chunk.number, chunk.total, str(codes)))
        return chunks

    def _chunk_at(self, offset: int) -> Chunk | str:
        """The chunk at ``offset``; ``incomplete`` where its end is not read yet, ``none`` where no chunk begins."""
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
        if numbers[0] < self._next or numbers[-1] > self._decoder.longest_payload():
            return "none"
        if end + CRC.size > len(self._data):
            return "incomplete"
        self._searched += end - offset
        if self._searched > SEARCH_LIMIT * (self._seen + 4096):
            raise ContainerError("it has too many beginnings of chunks with wrong checksums")
        if CRC.unpack_from(self._data, end)[0] != crc32(memoryview(self._data)[offset:end]):
            return "none"
        total = numbers[1] if self._data[offset] == LAST else None
        return Chunk(numbers[0], total, self._data[at:end], end + CRC.size)

    def _missing_before(self, number: int, expected: int, skipped: bool) -> list[ChunkCodes]:
        """Absent codes for the missing chunks before this one."""
        missing = number - expected
        if missing and self._decoder.seconds(missing) > LONGEST_GAP:
            raise ContainerError(
                f"{self._decoder.seconds(missing):.0f} s are missing between two chunks; it is not one recording"
            )
        reason = "damaged" if skipped else "missing"
        if skipped and not missing:
            at = self._decoder.seconds(expected)
            self._note(Damage(at, at, "bytes outside of chunks"))
        return [self._absent(absent, None, reason) for absent in range(expected, number)]

    def _absent(self, number: int, total: int | None, reason: str) -> ChunkCodes:
        """Absent codes for a chunk that cannot be read."""
        codes = self._decoder.absent(number, total)
        damage = Damage(self._decoder.seconds(number), self._decoder.seconds(number) + codes.seconds, reason)
        self._note(damage)
        return ChunkCodes(codes, damage)

    def _note(self, damage: Damage) -> None:
        """Record a missing span; adjacent ones with the same cause are merged."""
        last = self.damage[-1] if self.damage else None
        if last and last.end == damage.start and last.reason == damage.reason:
            self.damage[-1] = Damage(last.start, damage.end, last.reason)
        else:
            self.damage.append(damage)


def read_container(
    path: Path | str, codec: Codec, coder_for: Callable[[Header], CodesCoder]
) -> tuple[Codes, list[Damage]]:
    """The codes of one recording, for ``codec.decode``, and its missing spans.

    Args:
        path: path of the file.
        codec: codec whose codes the file must hold.
        coder_for: function that returns the coder for a header.

    Raises:
        ContainerError: the file does not hold codes of this codec, or cannot be read; the message says why.
    """
    reader = ContainerReader(codec, coder_for)
    try:
        chunks = reader.feed(Path(path).read_bytes()) + reader.finish()
    except ValueError as error:
        raise ContainerError(f"{path} cannot be read: {error}") from error
    codes = joined(codec, [chunk.codes for chunk in chunks])
    if not codes.segments:
        raise ContainerError(f"{path} cannot be read: no chunk of it is intact")
    codes.bitrate = codec.bitrate_of_codes(codes)
    return codes, reader.damage
