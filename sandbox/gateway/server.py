"""ClickHouse's HTTP protocol as an ASGI application: the event loop reads and writes, worker threads ask the engine.

At most `active_limit` requests run and `waiting_limit` wait; beyond that the answer is 503 with error 202.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from core.clock import Clock, utc_now
from sandbox.gateway.bodies import Compressor
from sandbox.gateway.engine import Answer, Engine
from sandbox.gateway.errors import Code, QueryRefused, refused
from sandbox.gateway.queries import Query
from sandbox.gateway.requests import Request, arguments_of, authenticate, read_request
from sandbox.gateway.sessions import Sessions

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_T = TypeVar("_T")

_log = logging.getLogger(__name__)
_SEND_BYTES = 1 << 20
_SWEEP_SECONDS = 1.0
_ABANDON_AGAIN_SECONDS = 0.5
_SMALLEST_COMPRESSED_BYTES = 1024
_CONTENT_TYPES = {
    "json": "application/json; charset=UTF-8",
    "jsoncompact": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "native": "application/octet-stream",
    "parquet": "application/octet-stream",
    "arrow": "application/octet-stream",
    "arrowstream": "application/octet-stream",
}


@dataclass(frozen=True)
class Limits:
    """What one gateway takes on at once."""

    active: int = 32
    waiting: int = 256
    body_bytes: int = 256 << 20
    bodies_bytes: int = 1 << 30
    stalled_reader_seconds: float = 300.0


class _Gone(Exception):
    """The client has hung up."""


class Gateway:
    """The application. `sweep` runs beside it; `close` comes after the last request."""

    def __init__(self, engine: Engine, password: str, *, limits: Limits | None = None, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._password = password
        self._limits = limits or Limits()
        self._sessions = Sessions(clock)
        self._threads = ThreadPoolExecutor(self._limits.active + 4, thread_name_prefix="query")
        self._slots = asyncio.Semaphore(self._limits.active)
        self._taken = 0
        self._held_bytes = 0
        self._running: set[Query] = set()

    async def sweep(self) -> None:
        """Drop sessions that are over, for as long as it runs."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await self._in_thread(self._sessions.sweep)

    def close(self) -> None:
        """End what still reads, wait for what writes, then close the sessions. The engine is its owner's to close."""
        for query in list(self._running):
            query.abandon()
        self._threads.shutdown(wait=True)
        self._sessions.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path in ("/ping", "/replicas_status") or (
            path == "/" and not scope["query_string"] and scope["method"] == "GET"
        ):
            await _send_text(send, 200, "Ok.\n")
        elif path != "/":
            await _send_text(send, 404, f"There is no handle {path}\nUse / or /ping.\n")
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = _Reply(send, self._engine, self._limits)
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            arguments = arguments_of(scope["query_string"])
            authenticate(headers, arguments, self._password)
            async with self._slot(), self._body(receive) as body:
                request = read_request(scope["method"], headers, arguments, body)
                await self._run(request, receive, reply)
        except QueryRefused as error:
            await reply.refuse(error)
        except (_Gone, TimeoutError):
            _log.info("a client hung up, or stopped reading, before its answer was complete")

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._taken >= self._limits.active + self._limits.waiting:
            raise refused(
                Code.TOO_MANY_SIMULTANEOUS_QUERIES, f"Too many simultaneous queries: {self._taken} run or wait"
            )
        self._taken += 1
        try:
            async with self._slots:
                yield
        finally:
            self._taken -= 1

    @asynccontextmanager
    async def _body(self, receive: Receive) -> AsyncIterator[bytes]:
        pieces: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                piece = message.get("body", b"")
                size += len(piece)
                self._held_bytes += len(piece)
                self._check_size(size)
                pieces.append(piece)
                if not message.get("more_body", False):
                    break
            yield b"".join(pieces) if len(pieces) > 1 else pieces[0]
        finally:
            self._held_bytes -= size

    def _check_size(self, size: int) -> None:
        limits = self._limits
        if size > limits.body_bytes:
            raise refused(
                Code.QUERY_IS_TOO_LARGE, f"The body is larger than {limits.body_bytes} bytes; send it in parts"
            )
        if self._held_bytes > limits.bodies_bytes:
            raise refused(
                Code.TOO_MANY_SIMULTANEOUS_QUERIES, f"More than {limits.bodies_bytes} bytes of bodies are being read"
            )

    async def _run(self, request: Request, receive: Receive, reply: _Reply) -> None:
        query = Query(self._engine, self._sessions, request)
        reply.request = request
        self._running.add(query)
        try:
            answer = await self._watched(query, query.start, receive)
            reply.output_format = query.output_format
            if answer is not None:
                await reply.whole(answer)
            else:
                await self._stream(query, receive, reply)
        finally:
            self._running.discard(query)
            if not query.is_finished:
                await asyncio.shield(self._in_thread(query.finish))

    async def _stream(self, query: Query, receive: Receive, reply: _Reply) -> None:
        await reply.begin()
        try:
            while (piece := await self._watched(query, query.next_piece, receive)) is not None:
                await reply.add(piece)
        except QueryRefused as error:
            await reply.break_off(error)
        except (TimeoutError, _Gone):
            await self._in_thread(query.abandon)
            raise _Gone from None
        else:
            await reply.end()

    async def _watched(self, query: Query, work: Callable[[], _T], receive: Receive) -> _T:
        """Work in a thread; a client that hangs up meanwhile ends a query that only reads."""
        working = asyncio.ensure_future(self._in_thread(work))
        watching = asyncio.ensure_future(_hang_up(receive))
        try:
            await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await self._ended(query, working)
                raise _Gone
            return working.result()
        except asyncio.CancelledError:  # the gateway is being stopped; the thread has to be out of the engine first
            await self._ended(query, working)
            raise
        finally:
            watching.cancel()

    async def _ended(self, query: Query, working: asyncio.Future[_T]) -> None:
        """Abandon it until its thread is out of the engine: the first time may come before the engine has begun."""
        while not working.done():
            await self._in_thread(query.abandon)
            await asyncio.wait((working,), timeout=_ABANDON_AGAIN_SECONDS)

    def _in_thread(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Reply:
    """The answer on its way out: headers, pieces, and an error in its place."""

    def __init__(self, send: Send, engine: Engine, limits: Limits) -> None:
        self._send = send
        self._engine = engine
        self._limits = limits
        self._tag = secrets.token_hex(8)
        self._compressor = Compressor("")
        self._started = False
        self.request: Request | None = None
        self.output_format = ""

    async def whole(self, answer: Answer) -> None:
        """All at once, with what the query has read and written."""
        body = memoryview(answer.body)
        encoding = self._encoding() if len(body) >= _SMALLEST_COMPRESSED_BYTES else ""
        await self._begin(_summary(answer), encoding, length=None if encoding else len(body))
        if not encoding and len(body) <= _SEND_BYTES:
            await self._body(answer.body, more=False)
            return
        for at in range(0, len(body), _SEND_BYTES):
            await self.add(bytes(body[at : at + _SEND_BYTES]))
        await self.end()

    async def begin(self) -> None:
        """The head of an answer that comes in pieces."""
        await self._begin(_summary(Answer()), self._encoding(), length=None)

    async def add(self, piece: bytes) -> None:
        """One more piece. Raises `TimeoutError` when the client has stopped reading."""
        compressed = self._compressor.add(piece) + self._compressor.flush()
        async with asyncio.timeout(self._limits.stalled_reader_seconds):
            await self._body(compressed, more=True)

    async def end(self) -> None:
        """There is no more."""
        await self._body(self._compressor.end(), more=False)

    async def break_off(self, error: QueryRefused) -> None:
        """An error after the answer has begun, as ClickHouse 25.11 and newer put it at the end of the body."""
        message = self._worded(error) + "\n"
        text = f"\r\n__exception__\r\n{self._tag}\r\n{message}{len(message.encode())} {self._tag}\r\n__exception__\r\n"
        await self.add(text.encode())
        await self.end()

    async def refuse(self, error: QueryRefused) -> None:
        """An error instead of an answer."""
        headers = {"X-ClickHouse-Exception-Code": str(error.code), **self._headers()}
        await _send_text(self._send, error.status, self._worded(error) + "\n", headers)

    def _worded(self, error: QueryRefused) -> str:
        return f"{error} (version {self._engine.version})"

    def _encoding(self) -> str:
        return self.request.answer_encoding if self.request is not None else ""

    def _headers(self) -> dict[str, str]:
        headers = {
            "X-ClickHouse-Server-Display-Name": "heliograph-gateway",
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        if self.request is not None:
            headers["X-ClickHouse-Query-Id"] = self.request.query_id
        return headers

    async def _begin(self, summary: str, encoding: str, *, length: int | None) -> None:
        headers = self._headers() | {"X-ClickHouse-Summary": summary, "X-ClickHouse-Exception-Tag": self._tag}
        if self.output_format:
            headers["X-ClickHouse-Format"] = self.output_format
        headers["Content-Type"] = _CONTENT_TYPES.get(self.output_format.lower(), "text/plain; charset=UTF-8")
        if encoding:
            headers["Content-Encoding"] = encoding
            self._compressor = Compressor(encoding)
        if length is not None:
            headers["Content-Length"] = str(length)
        await self._send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})

    async def _body(self, piece: bytes, *, more: bool) -> None:
        if piece or not more:
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_text(send: Send, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
    body = text.encode()
    sent = {"Content-Type": "text/plain; charset=UTF-8", "Content-Length": str(len(body)), **(headers or {})}
    await send({"type": "http.response.start", "status": status, "headers": _raw(sent)})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]


def _summary(answer: Answer) -> str:
    counters = {
        "read_rows": answer.read_rows,
        "read_bytes": answer.read_bytes,
        "written_rows": answer.written_rows,
        "written_bytes": answer.written_bytes,
        "total_rows_to_read": answer.read_rows,
        "result_rows": answer.written_rows,
        "result_bytes": len(answer.body),
        "elapsed_ns": answer.elapsed_ns,
    }
    return json.dumps({name: str(value) for name, value in counters.items()}, separators=(",", ":"))
