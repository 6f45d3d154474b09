"""TCP links that can be troubled: slow, silent, half-open, reset, dripping, cut short, or greeting with garbage.

They run on a thread with an event loop of their own, so that they go on while others are busy. Refuses to lose bytes:
what a silent link holds back is delivered once it is healed, as TCP does after a cable was out.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Literal

from sandbox.ports import LOOPBACK

Direction = Literal["asks", "answers"]
"""From the client to the server, and back."""

_CHUNK_BYTES = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: closing sends RST instead of FIN
_BOTH: tuple[Direction, ...] = ("asks", "answers")


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What a link does to what passes it.

    `held` are the directions in which nothing arrives until it is over. `refuses` resets every new connection,
    `severs` those that are open when it begins. `greeting` is what a new connection hears instead of the server.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    held: tuple[Direction, ...] = ()
    drip_bytes_per_second: float = 0.0
    cuts_answers: bool = False
    refuses: bool = False
    severs: bool = False
    greeting: bytes = b""


NONE = Trouble()
BLACK_HOLE = Trouble(held=_BOTH)
HALF_OPEN = Trouble(held=("answers",))
DOWN = Trouble(refuses=True, severs=True)
CUT = Trouble(cuts_answers=True)
DRIP = Trouble(drip_bytes_per_second=10.0, severs=True)
GARBAGE = Trouble(greeting=b"\x00\xff<html>not the server you look for</html>\r\n", severs=True)


def latency(milliseconds: float, *, jitter_ms: float = 0.0) -> Trouble:
    """Every question is late by `milliseconds`, give or take `jitter_ms`."""
    return Trouble(delay_ms=milliseconds, jitter_ms=jitter_ms)


class Link:
    """One listening port, and the servers behind it: each new connection goes to the next that takes it."""

    def __init__(self, name: str, targets: Sequence[int], *, loop: asyncio.AbstractEventLoop, random: Random) -> None:
        self.name = name
        self.port = 0
        self._targets = tuple(targets)
        self._loop = loop
        self._random = random
        self._turn = count()
        self._trouble = NONE
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def trouble(self) -> Trouble:
        """What it does now."""
        return self._trouble

    def set(self, trouble: Trouble) -> None:
        """Begin a trouble, or end it with `NONE`. From any thread; it holds when this returns."""
        asyncio.run_coroutine_threadsafe(self._set(trouble), self._loop).result()

    async def serve(self) -> None:
        """Begin to listen, on a port of its own."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set(self, trouble: Trouble) -> None:
        self._trouble = trouble
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if trouble.severs:
            for writer in list(self._writers):
                _reset(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._carry(reader, writer)
        except OSError:
            _reset(writer)
        except asyncio.CancelledError:
            return  # the proxy ends

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._trouble.refuses:
                _reset(writer)
                return
            if self._trouble.greeting:
                writer.write(self._trouble.greeting)
                await writer.drain()
                writer.close()
                return
            await self._until_free(*_BOTH)
            answers, server = await self._reach()
            try:
                await asyncio.gather(self._pump("asks", reader, server), self._pump("answers", answers, writer))
            finally:
                await _end(server)
        finally:
            self._writers.discard(writer)
            await _end(writer)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The next server that takes a connection. Raises `OSError` when none does."""
        first = next(self._turn)
        for offset in range(len(self._targets)):
            port = self._targets[(first + offset) % len(self._targets)]
            with suppress(OSError):
                return await asyncio.open_connection(LOOPBACK, port)
        raise ConnectionRefusedError(f"nothing answers behind the link {self.name}")

    async def _pump(self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._pass(direction, chunk, writer)
            await self._until_free(direction)
            writer.write_eof()
        except OSError:
            _reset(writer)

    async def _pass(self, direction: Direction, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        await self._until_free(direction)
        trouble = self._trouble
        if direction == "asks" and trouble.delay_ms:
            late = self._random.uniform(-trouble.jitter_ms, trouble.jitter_ms) + trouble.delay_ms
            await asyncio.sleep(max(0.0, late) / 1000)
        if direction == "answers" and trouble.cuts_answers:
            writer.write(chunk[: max(1, len(chunk) // 2)])
            await writer.drain()
            raise ConnectionResetError
        if direction == "answers" and trouble.drip_bytes_per_second:
            chunk = await self._drip(chunk, writer, trouble)
        writer.write(chunk)
        await writer.drain()

    async def _drip(self, chunk: bytes, writer: asyncio.StreamWriter, trouble: Trouble) -> bytes:
        """Byte by byte while the trouble lasts; returns what is left then."""
        for sent in range(len(chunk)):
            if self._trouble is not trouble:
                return chunk[sent:]
            writer.write(chunk[sent : sent + 1])
            await writer.drain()
            await asyncio.sleep(1 / trouble.drip_bytes_per_second)
        return b""

    async def _until_free(self, *directions: Direction) -> None:
        while set(directions) & set(self._trouble.held):
            await self._changed.wait()


class Proxies:
    """All links of a run, on one thread. End it with `close`."""

    def __init__(self, *, seed: int = 0) -> None:
        self._random = Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._links: list[Link] = []

    def link(self, name: str, *targets: int) -> Link:
        """A new link to servers on these ports of loopback."""
        link = Link(name, targets, loop=self._loop, random=self._random)
        asyncio.run_coroutine_threadsafe(link.serve(), self._loop).result()
        self._links.append(link)
        return link

    def close(self) -> None:
        """Close every link and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        await asyncio.gather(*(link.close() for link in self._links))


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close it, if it is not closed yet, and wait until the socket is given back."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Hang up with RST, as a firewall or a dying host does."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
