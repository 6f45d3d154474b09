"""Bodies of requests and answers: decoding them in pieces, form fields, and compressing an answer as it streams.

Refuses an encoding it does not know and a body that does not decode.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from email.parser import BytesParser
from email.policy import HTTP

import pyarrow as pa

from sandbox.gateway.errors import Code, refused

_PIECE_BYTES = 1 << 20
_CODECS = {"lz4": "lz4", "zstd": "zstd", "gzip": "gzip", "br": "brotli"}
# Cheapest first: on loopback the processor is the bottleneck.
_ANSWER_CODECS = ("lz4", "zstd", "gzip")


def decoded(body: bytes, encoding: str) -> Iterator[bytes]:
    """The body in pieces of a megabyte, decompressed as `Content-Encoding` says."""
    if encoding in ("", "identity"):
        view = memoryview(body)
        yield from (bytes(view[at : at + _PIECE_BYTES]) for at in range(0, len(body), _PIECE_BYTES))
        return
    if encoding not in _CODECS:
        raise refused(Code.NOT_IMPLEMENTED, f"Unknown compression method {encoding!r}; known are {', '.join(_CODECS)}")
    if not body:
        return
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), _CODECS[encoding]) as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece
    except OSError as error:
        raise refused(Code.CANNOT_DECOMPRESS, f"Cannot decompress the body as {encoding}: {error}") from error


def form_fields(body: bytes, content_type: str) -> dict[str, str]:
    """The fields of a form. Files, which carry external data, are refused."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None or not isinstance(name, str):
            raise refused(Code.NOT_IMPLEMENTED, "External data is not supported by this gateway")
        payload = part.get_payload(decode=True)
        fields[name] = payload.decode() if isinstance(payload, bytes) else ""
    return fields


def is_form(headers: Mapping[str, str]) -> bool:
    """Whether the body is a form. URL-encoded ones are statements to ClickHouse: `curl -d` labels everything so."""
    return headers.get("content-type", "").startswith("multipart/form-data")


def chosen_encoding(accepted: str) -> str:
    """The encoding to answer in, empty for none of those we have."""
    offered = {item.split(";")[0].strip() for item in accepted.split(",")}
    return next((codec for codec in _ANSWER_CODECS if codec in offered), "")


class Sink(io.RawIOBase):
    """A file that keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class Compressor:
    """One compressed stream out of many pieces; an empty encoding passes them through."""

    def __init__(self, encoding: str) -> None:
        self._sink = Sink()
        self._stream = pa.CompressedOutputStream(pa.PythonFile(self._sink, "w"), encoding) if encoding else None

    def add(self, piece: bytes) -> bytes:
        """What can be sent now; may be empty."""
        if self._stream is None:
            return piece
        self._stream.write(piece)
        return self._sink.take()

    def flush(self) -> bytes:
        """All that was added so far, so that the reader can have it."""
        if self._stream is None:
            return b""
        self._stream.flush()
        return self._sink.take()

    def end(self) -> bytes:
        """The rest of the stream."""
        if self._stream is None:
            return b""
        self._stream.close()
        return self._sink.take()
