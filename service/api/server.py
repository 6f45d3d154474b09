"""The HTTP server: listens, says when it answers, and sends each answer in one piece."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.errors import ConfigurationError
from core.settings import Settings
from service.api.express import Express

_log = structlog.get_logger(__name__)

UNREAD_SECONDS_MAX = 30.0
"""Who takes nothing of an answer for so long is cut off."""
_GRACE_SECONDS = 2
"""Beyond the deadline of a send: calls in hand are answered before the process ends."""


async def answer_calls(app: Express, settings: Settings, *, on_ready: Callable[[str], None]) -> bool:
    """Answer until SIGTERM or SIGINT; the caller then has to stop what it started. Says whether every call came to its end.

    `on_ready` is called once, with the address. Raises `ConfigurationError`.
    """
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,  # nobody here asks where a call came from
        server_header=False,
        timeout_graceful_shutdown=int(settings.routing.deadline_seconds) + _GRACE_SECONDS,
    )
    with _listen(settings.api.host, settings.api.port) as listening:
        address = f"http://{settings.api.host}:{listening.getsockname()[1]}"

        def started() -> None:
            _log.info("service answers", address=address)
            on_ready(address)

        server = _Server(config, started)
        await server.serve(sockets=[listening])
        return not server.server_state.tasks


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The library's own raises the signal again once calls are answered: the process would end there, with events
        unpublished and nothing settled. A second signal, when no call is in hand any more, still ends it at once."""
        loop, numbers = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


class Connection(HttpToolsProtocol):
    """A connection of the server, whose writes go through `Joined`. It waits for no endless head (measured, 50 MB of small
    headers took a gigabyte) and for no call that does not come whole in time, for nobody knows yet whose it is; nor for who reads no answers."""

    head_bytes_max = 64 * 1024
    """Of a head, and of what follows the last piece of a body, beyond what is read with its first bytes."""
    call_seconds_max = 10.0
    """From the first bytes of a call, or from the start of the connection, to the last."""
    unread_seconds_max = UNREAD_SECONDS_MAX

    _unread: asyncio.TimerHandle | None = None

    _in_head = _is_whole = False
    _head_bytes = 0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self.transport = Joined(self.transport)
        self._await_call()

    def data_received(self, data: bytes) -> None:
        self._is_whole = False
        self._head_bytes += len(data)
        super().data_received(data)
        if self._late is None and not self._is_whole:  # most calls come in one piece, and need no timer
            self._await_call()
        if self._in_head and self._head_bytes > self.head_bytes_max and not self.transport.is_closing():
            self.send_400_response("The head of the call is too long.")

    def on_message_begin(self) -> None:
        self._is_whole = False
        self._begin_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Behind the last piece of a body there may be headers again."""
        self._begin_head()

    def on_body(self, body: bytes) -> None:
        self._in_head = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._is_whole = False, True
        self._await_nothing()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._late is not None:  # nothing more was read while this call was answered
            self._await_nothing()
            self._await_call()

    def pause_writing(self) -> None:
        """Nobody takes the answers: the next call on this connection would wait with its place taken for as long."""
        super().pause_writing()
        self._unread = asyncio.get_running_loop().call_later(self.unread_seconds_max, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._await_no_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_nothing()
        self._await_no_reader()
        super().connection_lost(exc)

    def _begin_head(self) -> None:
        self._in_head, self._head_bytes = True, 0

    def _await_call(self) -> None:
        self._late = asyncio.get_running_loop().call_later(self.call_seconds_max, self._give_up)

    def _await_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _await_no_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _give_up(self) -> None:
        if self._is_answering:
            self._await_call()
        else:
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        """Whether a call that came whole waits for its answer."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and not cycle.more_body and not cycle.response_complete)


class Joined(asyncio.Transport):
    """Sends what is written in one step of the event loop at once. The server writes the head of an answer and its body
    apart: two system calls, and whoever reads is woken twice, which took a twentieth of the time of a check."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it before the event loop turns to anything else."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(bytes(data))

    def close(self) -> None:
        """Send what waits, and close; what nobody reads is not waited for."""
        self._flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(UNREAD_SECONDS_MAX, self._transport.abort)

    def abort(self) -> None:
        """Close, and send nothing more."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or will be."""
        return self._transport.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who hears of what comes in."""
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():
            self._transport.write(b"".join(waiting))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"nothing can listen on {host}:{port}: {error.strerror}",
            hint="another program has the port, or the address is not this machine's: see [api] in the settings",
        ) from None
