"""The gateway as a program: `python -m sandbox.gateway --data FOLDER --port PORT --password-file FILE`.

Prints `listening on 127.0.0.1:PORT` once it answers; SIGTERM and SIGINT close the engine in order.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from core.errors import HeliographError
from sandbox.gateway.engine import Engine
from sandbox.gateway.errors import BadListenAddress
from sandbox.gateway.server import Gateway

PASSWORD_VARIABLE = "HELIOGRAPH_GATEWAY_PASSWORD"
_BACKLOG = 2048
_GRACE_SECONDS = 5
_HEAD_BYTES = 1 << 20  # ClickHouse takes addresses of this length


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        print(f"listening on {host}:{port}", flush=True)


def main() -> None:
    """Run until told to stop."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        listener = _listener(options.host, options.port)
        password = _password(options.password_file)
        engine = Engine(options.data.absolute())
    except (HeliographError, OSError) as error:
        hint = getattr(error, "hint", "")
        sys.exit(f"the gateway cannot start: {error}" + (f" ({hint})" if hint else ""))
    try:
        uvloop.run(_serve(engine, password, listener))
    finally:
        engine.close()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """uvicorn stops in order and then repeats the signal: by default that would end us before the engine is closed."""
    sys.exit(0)


async def _serve(engine: Engine, password: str, listener: socket.socket) -> None:
    gateway = Gateway(engine, password)
    config = uvicorn.Config(
        gateway,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        http="h11",  # ClickHouse's own limit on an address is 1 MiB; httptools, taken when it is installed, allows 64 KiB
        h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    sweeping = asyncio.create_task(gateway.sweep())
    try:
        await _Server(config).serve(sockets=[listener])
    finally:
        sweeping.cancel()
        await asyncio.to_thread(gateway.close)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.gateway", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables; made when it is not there")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--password-file", type=Path, help=f"else the password is taken from {PASSWORD_VARIABLE}")
    return parser.parse_args()


def _listener(host: str, port: int) -> socket.socket:
    try:
        loopback = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise BadListenAddress(
            f"it listens on loopback only, and {host} is not a loopback address",
            hint="use 127.0.0.1; for other machines run a real ClickHouse server and set its address",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1" if host == "localhost" else host, port))
    listener.listen(_BACKLOG)
    return listener


def _password(file: Path | None) -> str:
    password = file.read_text(encoding="utf-8").strip() if file else os.environ.get(PASSWORD_VARIABLE, "")
    if not password:
        raise BadListenAddress("it needs a password", hint=f"give --password-file, or set {PASSWORD_VARIABLE}")
    return password


if __name__ == "__main__":
    main()
