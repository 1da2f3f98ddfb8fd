"""Writer of a ``.clc`` file (``container``) of one recording, chunk by chunk."""

from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from codeclab.codecs.codec import Codec
from codeclab.codecs.codes import Codes, check_length, checked
from codeclab.codecs.entropy.coders import CodesCoder
from codeclab.codecs.entropy.container import CHUNK, CRC, LAST, SCALE, Header, chunk_unit, varint
from codeclab.codecs.io.files import write_atomically


class ContainerWriter:
    """Turns a stream of codes into the bytes of a file.

    Args:
        codec: codec of the codes.
        n_codebooks: number of codebooks in use.
        coder: coder from codes to bytes.
        chunk: frames per chunk, or segments per chunk for a codec that cuts audio; None takes ``default_chunk``.

    Attributes:
        header: header of the file.
        payload: number of bytes of codes and levels so far.
        written: number of bytes so far.
    """

    def __init__(self, codec: Codec, n_codebooks: int, coder: CodesCoder, chunk: int | None = None) -> None:
        self.header = Header.of(codec, n_codebooks, coder, chunk)
        self.payload = 0
        self.written = 0
        self._codec, self._coder = codec, coder
        self._unit = chunk_unit(codec)
        self._whole_frames = None if codec.segments is None else -(-codec.segments.length // codec.hop_length)
        self._units: list[tuple[NDArray[np.int64], bytes]] = []
        self._samples = 0
        self._chunks = 0

    def push(self, codes: Codes) -> bytes:
        """The bytes that are ready after more codes.

        Args:
            codes: next codes of one recording, from ``Codec.encode`` or from the encoder of a stream.

        Raises:
            ValueError: the codes are of several recordings, of another codec or of another number of codebooks.
        """
        codes = self._checked(codes)
        for index, segment in enumerate(codes.segments):
            array = segment[0].cpu().numpy()
            if self._whole_frames is None:
                self._units += [(array[:, frame : frame + 1], b"") for frame in range(array.shape[1])]
            else:
                level = b"" if codes.scales is None else SCALE.pack(float(codes.scales[index]))
                self._units.append((array, level))
        self._samples += codes.length
        ready = b""
        while self._is_ready():
            units, self._units = self._units[: self.header.chunk], self._units[self.header.chunk :]
            ready += self._chunk(units, bytes([CHUNK]) + varint(self._chunks))
        return self._emitted(ready)

    def finish(self) -> bytes:
        """The last chunk."""
        start = bytes([LAST]) + varint(self._chunks) + varint(self._samples)
        return self._emitted(self._chunk(self._units, start))

    def _emitted(self, data: bytes) -> bytes:
        data = data if self.written else self.header.to_bytes() + data
        self.written += len(data)
        return data

    def _is_ready(self) -> bool:
        """Whether the next chunk is complete and known not to be the last one, because the audio goes beyond it."""
        first = self._units[: self.header.chunk]
        whole = self._whole_frames is None or all(codes.shape[1] == self._whole_frames for codes, _ in first)
        reached = (self._chunks + 1) * self.header.chunk * self._unit <= self._samples
        return len(first) == self.header.chunk and whole and reached

    def _chunk(self, units: list[tuple[NDArray[np.int64], bytes]], start: bytes) -> bytes:
        self._chunks += 1
        levels = b"".join(level for _, level in units)
        coded = self._coder.encode(np.concatenate([codes for codes, _ in units], axis=1)) if units else b""
        self.payload += len(levels) + len(coded)
        data = start + varint(len(levels) + len(coded)) + levels + coded
        return data + CRC.pack(crc32(data))

    def _checked(self, codes: Codes) -> Codes:
        codec, count = self._codec, self.header.n_codebooks
        codes = checked(codes, codec)
        for segment in codes.segments:
            if segment.shape[:2] != (1, count):
                raise ValueError(
                    f"a file holds codes [1, {count}, T] of one recording; these are {list(segment.shape)}"
                )
            sizes = segment.new_tensor(codec.quantizer.codebook_sizes[:count])[:, None]
            if ((segment < 0) | (segment >= sizes)).any():
                raise ValueError("a code is not an entry of its codebook")
        return codes


def write_container(
    path: Path | str, codes: Codes, codec: Codec, coder: CodesCoder, chunk: int | None = None
) -> ContainerWriter:
    """Write the codes of one recording to a file, atomically.

    Args:
        path: path of the file, ``….clc``.
        codes: codes of audio ``[1, C, N]``, from ``codec.encode``.
        codec: codec of the codes.
        coder: coder from codes to bytes.
        chunk: frames or segments per chunk; see ``ContainerWriter``.

    Returns:
        the writer, whose attributes say how much was written.

    Raises:
        ValueError: the codes are of several recordings, of another codec, or more or fewer than their length takes.
    """
    codes = checked(codes, codec)
    check_length(codes, codec)
    writer = ContainerWriter(codec, codes.segments[0].shape[1], coder, chunk)
    write_atomically(Path(path), writer.push(codes) + writer.finish())
    return writer
