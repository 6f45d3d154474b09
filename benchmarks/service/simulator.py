"""A provider that accepts everything at once, as Aurora would answer: so cheap that the time goes elsewhere."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import msgspec
import uvloop


class _Message(msgspec.Struct, rename="pascal"):
    client_reference: str


_decoder = msgspec.json.Decoder(_Message)


class _Accepting(asyncio.Protocol):
    """Reads one call after the other; clients wait for the answer before they send the next."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:")
        if len(body) < length:
            return
        self._buffer = b""
        reference = _decoder.decode(body).client_reference
        answer = b'{"status":"queued","sid":"SM%s","client_reference":"%s"}' % (
            reference.partition("-")[0].encode(),
            reference.encode(),
        )
        self._transport.write(
            b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(answer), answer)
        )


async def serve(port: int) -> None:
    """Answer until killed."""
    server = await asyncio.get_running_loop().create_server(_Accepting, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
