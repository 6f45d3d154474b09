"""The HTTP server: listens, says when it answers, and sends each answer in one piece."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.errors import ConfigurationError
from core.settings import Settings
from service.api.express import Express

_log = structlog.get_logger(__name__)

_GRACE_SECONDS = 2
"""Beyond the deadline of a send: calls in hand are answered before the process ends."""


async def answer_calls(app: Express, settings: Settings, *, on_ready: Callable[[str], None]) -> None:
    """Answer until a signal. `on_ready` is called once, with the address. Raises `ConfigurationError`."""
    config = uvicorn.Config(
        app,
        http=_Connection,
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

        await _Server(config, started).serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


class _Connection(HttpToolsProtocol):
    """A connection of the server whose writes go through `Joined`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self.transport = Joined(self.transport)


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
        """Send what waits, and close."""
        self._flush()
        self._transport.close()

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
