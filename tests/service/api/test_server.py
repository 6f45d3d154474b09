"""An answer goes out in one piece, however the server writes it; a call that does not come is not waited for."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvicorn

from service.api.server import Connection, Joined, answer_calls
from tests.support.house import make_settings


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.sent.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def get_write_buffer_size(self):
        return 0


async def test_what_is_written_in_one_step_is_sent_at_once():
    wire = Wire()
    joined = Joined(wire)
    joined.write(b"head")
    joined.write(b"body")
    await asyncio.sleep(0)
    joined.write(b"the next")
    await asyncio.sleep(0)

    assert wire.sent == [b"headbody", b"the next"]


async def test_closing_sends_what_was_written_before():
    wire = Wire()
    joined = Joined(wire)
    joined.write(b"answer")
    joined.close()
    joined.write(b"too late")
    await asyncio.sleep(0)

    assert wire.sent == [b"answer"]
    assert joined.is_closing()


class Hasty(Connection):
    """Waits no longer than a test may take."""

    call_seconds_max = unread_seconds_max = 0.1


SLOW_SECONDS = 0.3
BODY_BYTES = 100_000
UNREAD_BYTES = 20_000_000  # more than the two ends keep for each other


async def app(scope, receive, send):
    """Answers how much came, and much for the path /much; for the path /slow after longer than `Hasty` waits for a call."""
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        count, more = count + len(message["body"]), message["more_body"]
    await asyncio.sleep(SLOW_SECONDS if scope["path"] == "/slow" else 0)
    body = bytes(UNREAD_BYTES) if scope["path"] == "/much" else b"%7d" % count
    head = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected(protocol: type[Connection] = Connection) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """A connection to a server that has connections of this kind."""
    config = uvicorn.Config(app, http=protocol, ws="none", log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        async with asyncio.timeout(30):
            yield reader, writer
        writer.close()
        server.should_exit = True
        await serving


async def flood(writer: StreamWriter, piece: bytes, *, bytes_max: int, until: asyncio.Task[bytes]) -> int:
    """Writes the piece again and again until there is an answer; how many bytes that took."""
    count = 0
    with suppress(ConnectionError):
        while count < bytes_max and not until.done():
            writer.write(piece)
            await writer.drain()
            count += len(piece)
            await asyncio.sleep(0)
    return count


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (HEAD, b"a: b\r\n" * 1_000),
        (HEAD + b"a: ", b"b" * 8_000),
        (b"POST /", b"b" * 8_000),
        (CHUNKED + b"0\r\n", b"a: b\r\n" * 1_000),
    ],
    ids=["of many headers", "of one header", "of an address", "behind a body"],
)
async def test_a_head_without_an_end_is_refused(begin: bytes, piece: bytes):
    async with connected() as (reader, writer):
        writer.write(begin)
        await writer.drain()
        answer = asyncio.create_task(reader.readline())
        sent = await flood(writer, piece, bytes_max=50_000_000, until=answer)

        assert await answer == b"HTTP/1.1 400 Bad Request\r\n"
        assert sent < 50_000_000


@pytest.mark.parametrize(
    "begin",
    [b"", HEAD, HEAD + b"Content-Length: 100000\r\n\r\nabc", CHUNKED],
    ids=["nothing", "a head", "a body", "a body in pieces"],
)
async def test_a_call_that_does_not_come_whole_in_time_is_not_waited_for(begin: bytes):
    async with connected(Hasty) as (reader, writer):
        writer.write(begin)
        await reader.read()  # to the end of the connection


async def test_nor_is_one_after_another_of_which_a_line_break_comes():
    async with connected(Hasty) as (reader, writer):
        writer.write(HEAD + b"\r\n")
        await body_of_answer(reader)
        writer.write(b"\r\n")
        await reader.read()


async def test_nor_is_one_that_comes_byte_by_byte():
    async with connected(Hasty) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        end = asyncio.create_task(reader.read())
        while not end.done():
            writer.write(b"a")
            await asyncio.sleep(0.01)

        assert await end == b""


@pytest.mark.parametrize("calls", [1, 2])
async def test_nor_is_a_caller_who_reads_no_answer(calls: int):
    lost = asyncio.Event()

    class Noting(Hasty):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    async with connected(Noting) as (_, writer):
        writer.write(b"POST /much HTTP/1.1\r\nHost: x\r\n\r\n" * calls)
        await lost.wait()


async def test_what_comes_whole_is_answered_however_long_that_takes_and_one_call_after_the_other():
    call = b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES + b"a" * BODY_BYTES
    async with connected(Hasty) as (reader, writer):
        writer.write(call + call)
        first = await body_of_answer(reader)
        writer.write(call + HEAD)  # the next is not whole while this one is answered
        others = [await body_of_answer(reader) for _ in range(2)]

        assert [first, *others] == [b" 100000"] * 3


async def test_a_call_may_come_in_many_pieces():
    async with connected() as (reader, writer):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % BODY_BYTES)
        for _ in range(BODY_BYTES // 1_000):
            writer.write(b"a" * 1_000)
            await writer.drain()
            await asyncio.sleep(0)

        assert await body_of_answer(reader) == b" 100000"


@pytest.mark.parametrize("signals", [1, 2])
async def test_it_says_whether_a_call_was_cut_off_at_the_end(tmp_path: Path, signals: int):
    begun, let_go = asyncio.Event(), asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def slow(scope, receive, send):
        begun.set()
        await let_go.wait()
        await app(scope, receive, send)

    settings = make_settings(tmp_path, api={"port": 0})
    serving = asyncio.create_task(answer_calls(slow, settings, on_ready=address.set_result))
    reader, writer = await asyncio.open_connection("127.0.0.1", int((await address).rpartition(":")[2]))
    writer.write(HEAD + b"\r\n")
    await begun.wait()
    for _ in range(signals):  # the second one waits for nobody
        os.kill(os.getpid(), signal.SIGINT)
    if signals == 1:
        let_go.set()
    all_answered = await serving
    let_go.set()
    await reader.read()
    writer.close()

    assert all_answered is (signals == 1)


async def body_of_answer(reader: StreamReader) -> bytes:
    await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(7)
