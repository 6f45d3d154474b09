"""Free loopback ports, and whether something listens on one. A port handed out is free now; nothing holds it for the caller."""

from __future__ import annotations

import errno
import random
import socket

LOOPBACK = "127.0.0.1"

# Below the range Linux (32768..) and macOS (49152..) draw outgoing connections from: a port picked there could be
# taken by any client between being picked and being bound.
_RANGE = range(20_000, 32_000)
_TRIES = 200


def can_bind(port: int, *, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now; ports that only linger in TIME_WAIT count as free, as servers see it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_ports(count: int, *, host: str = LOOPBACK) -> list[int]:
    """`count` different free ports."""
    picked: list[int] = []
    for port in random.SystemRandom().sample(_RANGE, min(len(_RANGE), count + _TRIES)):
        if len(picked) == count:
            break
        if can_bind(port, host=host):
            picked.append(port)
    if len(picked) < count:
        raise OSError(errno.EADDRINUSE, f"found only {len(picked)} of {count} free ports on {host}")
    return picked


def free_port(*, host: str = LOOPBACK) -> int:
    """One free port."""
    return free_ports(1, host=host)[0]


def is_listening(port: int, *, host: str = LOOPBACK, timeout_seconds: float = 0.5) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False
