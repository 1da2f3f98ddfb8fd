"""``.clc``, the compact file format of a codec's codes, which is read and written chunk by chunk.

A file is a header and chunks. Integers are unsigned LEB128 ("varint") unless a width is given; fixed widths are
little-endian.

    header  "CLC", format version (1 byte), coder (1 byte), first 8 bytes of the codec's identity; varints: sampling
            rate in Hz, channels, codebooks, chunk; with an entropy coder its fingerprint (4 bytes); CRC-32 of all these
    chunk   0xC5, or 0xC6 for the last; varint number from 0; the last: varint samples of the whole audio;
            varint payload bytes; payload; CRC-32 of all these
    payload if the codec normalizes, the level of each segment (32-bit float); the codes of all frames, coded

A chunk holds ``chunk`` frames or, for a codec that cuts audio, ``chunk`` whole segments; the last chunk holds the rest.
Every chunk is coded independently. Damage loses only the chunk that it hits: a reader finds the next one by its first
byte and its checksum. The audio's length is in the last chunk, so that a file can be written and read as a stream.
"""

import struct
from dataclasses import dataclass
from weakref import WeakKeyDictionary
from zlib import crc32

from torch import Tensor

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.coders import CodesCoder
from codeclab.codecs.io.folder import identity
from codeclab.codecs.wording import counted

MAGIC = b"CLC"
VERSION = 1
CHUNK, LAST = 0xC5, 0xC6
CRC = struct.Struct("<I")
SCALE = struct.Struct("<f")
IDENTITY_BYTES = 8
LONGEST_HEADER = 64
"""Upper limit of a header's size, bytes."""

LONGEST_CHUNK = 60.0
"""Upper limit of a chunk's duration, seconds of audio; a file that claims longer chunks is refused."""

CHUNK_BYTES = 2400
"""Smallest nominal payload of a chunk, bytes, so that the chunk's own 8 bytes are a small overhead."""

ENTROPY_SECONDS = 10.0
"""Smallest duration of a chunk, seconds, where a language model predicts from the frames before."""


class ContainerError(ValueError):
    """A file cannot be read; the message says why."""


@dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes:
        coder: number of the ``CodesCoder``.
        identity: first bytes of the codec's identity.
        sample_rate: sampling rate of the audio, Hz.
        channels: channels of the audio.
        n_codebooks: number of codebooks in use.
        chunk: frames per chunk, or segments per chunk for a codec that cuts audio.
        fingerprint: fingerprint of the coder.
    """

    coder: int
    identity: bytes
    sample_rate: int
    channels: int
    n_codebooks: int
    chunk: int
    fingerprint: int

    @classmethod
    def of(cls, codec: Codec, n_codebooks: int, coder: CodesCoder, chunk: int | None = None) -> "Header":
        """The header of a file of a codec's codes; ``chunk`` None takes ``default_chunk``."""
        length = chunk or default_chunk(codec, n_codebooks, coder)
        sound = codec.sample_rate, codec.channels
        return cls(coder.number, identity_bytes(codec), *sound, n_codebooks, length, coder.fingerprint)

    def to_bytes(self) -> bytes:
        """The header's bytes in a file."""
        numbers = (self.sample_rate, self.channels, self.n_codebooks, self.chunk)
        start = MAGIC + bytes([VERSION, self.coder]) + self.identity + b"".join(map(varint, numbers))
        data = start + (CRC.pack(self.fingerprint) if self.coder else b"")
        return data + CRC.pack(crc32(data))


def parse_header(data: bytes) -> tuple[Header, int] | None:
    """The header at the beginning of ``data``, and its length in bytes; None where more bytes are needed.

    Raises:
        ContainerError: ``data`` begins with no header, or with a damaged one.
    """
    if data[:3] != MAGIC[: len(data[:3])]:
        raise ContainerError("it is not a .clc file, which begins with CLC")
    if len(data) > 3 and data[3] != VERSION:
        raise ContainerError(f"it is of version {data[3]} of the format; this codeclab reads version {VERSION}")
    if len(data) < 5 + IDENTITY_BYTES:
        return None
    offset, numbers = 5 + IDENTITY_BYTES, []
    for _ in range(4):
        number_and_end = read_varint(data, offset)
        if number_and_end is None:
            break
        number, offset = number_and_end
        numbers.append(number)
    end = offset + (CRC.size if data[4] else 0)
    if len(numbers) < 4 or len(data) < end + CRC.size:
        if len(data) > LONGEST_HEADER:
            raise ContainerError("its header is damaged")
        return None
    if CRC.unpack_from(data, end)[0] != crc32(data[:end]):
        raise ContainerError("its header is damaged")
    fingerprint = CRC.unpack_from(data, offset)[0] if data[4] else 0
    rate, channels, n_codebooks, chunk = numbers
    header = Header(data[4], data[5 : 5 + IDENTITY_BYTES], rate, channels, n_codebooks, chunk, fingerprint)
    return header, end + CRC.size


def check_header(header: Header, codec: Codec) -> None:
    """Refuse a file of another codec, or one with impossible numbers.

    Raises:
        ContainerError: the header does not fit the codec; the message says what differs.
    """
    if header.identity != identity_bytes(codec):
        raise ContainerError(
            f"its codes are of another codec ({header.sample_rate} Hz, {counted(header.channels, 'channel')}, "
            f"identity {header.identity.hex()}); this one has {codec.sample_rate} Hz, "
            f"{counted(codec.channels, 'channel')}, identity {identity_bytes(codec).hex()}"
        )
    if not 1 <= header.n_codebooks <= codec.quantizer.n_codebooks:
        raise ContainerError(
            f"it states {counted(header.n_codebooks, 'codebook')}; the codec has {codec.quantizer.n_codebooks}"
        )
    if not 1 <= header.chunk * chunk_unit(codec) <= LONGEST_CHUNK * codec.sample_rate:
        seconds = header.chunk * chunk_unit(codec) / codec.sample_rate
        raise ContainerError(f"it states chunks of {seconds:.4g} s; at most {LONGEST_CHUNK:g} s are allowed")


def default_chunk(codec: Codec, n_codebooks: int, coder: CodesCoder) -> int:
    """Frames or segments per chunk: at least a second, and enough payload that the chunk's own bytes are few."""
    nominal = codec.bitrate_of(n_codebooks) * 1000 / 8
    seconds = max(1.0, CHUNK_BYTES / nominal)
    if coder.number == 3:
        seconds = max(ENTROPY_SECONDS, 1.6 * seconds)
    return chunk_of(seconds, codec)


def chunk_of(seconds: float, codec: Codec) -> int:
    """Frames or segments per chunk of about so many seconds, within what a file may state."""
    unit = chunk_unit(codec)
    longest = int(LONGEST_CHUNK * codec.sample_rate) // unit
    return max(1, round(min(seconds * codec.sample_rate / unit, longest)))


def chunk_unit(codec: Codec) -> int:
    """Samples by which the audio advances per frame, or per segment for a codec that cuts audio."""
    return codec.hop_length if codec.segments is None else codec.segments.stride


def identity_bytes(codec: Codec) -> bytes:
    """The first bytes of a codec's identity, which a file holds; cached as long as no tensor of the codec changes."""
    state = [*codec.parameters(), *codec.buffers()]
    settings = (codec.sample_rate, codec.channels, codec.segment, codec.overlap, codec.normalize)
    key = settings, [(id(tensor), tensor.data_ptr(), tensor._version) for tensor in state]
    cached = _identities.get(codec)
    if cached is None or cached[1] != key:
        # The cache holds the tensors, too, so that no new tensor can get the id or the address of a deleted one.
        cached = state, key, bytes.fromhex(identity(codec).partition("-")[2])[:IDENTITY_BYTES]
        _identities[codec] = cached
    return cached[2]


_identities: WeakKeyDictionary[Codec, tuple[list[Tensor], object, bytes]] = WeakKeyDictionary()
"""Cache of the codecs in use, because hashing all weights takes longer than coding a short file."""


def varint(number: int) -> bytes:
    """An unsigned number in groups of seven bits, the least significant first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(groups + bytes([number]))


def read_varint(data: bytes | memoryview, offset: int) -> tuple[int, int] | None:
    """The number at ``offset`` and the position after it; None where it does not end within the data or 63 bits."""
    number = 0
    for count, byte in enumerate(data[offset : offset + 9]):
        number |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return number, offset + count + 1
    return None
