"""Work that asks servers over HTTP and can be given up: the connections on which it waits are shut, and it asks no more.

A server that sees its client gone need not answer; ClickHouse ends the query when it is told to.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from typing import TypeVar

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from core.errors import GivenUp

_T = TypeVar("_T")
_current: ContextVar[Errand | None] = ContextVar("errand", default=None)
_handover = threading.Lock()
"""Held while a connection passes from one errand to another: only the connections that are its own are shut with an errand."""


class Errand:
    """A piece of work, in one thread or in several."""

    def __init__(self) -> None:
        self._connections: set[_Connection] = set()
        self.is_given_up = False

    def run(self, work: Callable[[], _T]) -> _T:
        """Do it. Raises `GivenUp` when nobody wants it any more, and whatever the work raises."""
        token = _current.set(self)
        try:
            if self.is_given_up:
                raise GivenUp("nobody waits for it any more")
            return work()
        except Exception as error:
            if self.is_given_up:  # whatever a connection that is shut under its reader raises
                raise GivenUp("nobody waits for it any more") from error
            raise
        finally:
            _current.reset(token)

    def give_up(self) -> None:
        """End it at its next word to a server, or while it waits for one. Safe from any thread, and more than once."""
        with _handover:
            self.is_given_up = True
            for connection in self._connections:
                connection.hang_up(self)
            self._connections.clear()

    def add(self, connection: _Connection) -> None:
        """A connection on which this errand asks from now on; called during the handover."""
        if self.is_given_up:
            raise GivenUp("nobody waits for it any more")
        self._connections.add(connection)


def beside(work: Callable[[], _T]) -> Future[_T]:
    """Begin it in another thread, on the errand of this one if there is one."""
    errand = _current.get() or Errand()
    answer: Future[_T] = Future()

    def run() -> None:
        try:
            answer.set_result(errand.run(work))
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is told to whoever waits
            answer.set_exception(error)

    threading.Thread(target=run, name="beside", daemon=True).start()
    return answer


class _Connection(HTTPConnection):
    """Belongs to the errand that asked on it last."""

    _owner: Errand | None = None

    def connect(self) -> None:
        super().connect()
        self._take()  # the errand may have been given up meanwhile, when there was nothing to shut yet

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        self._take()  # also where a client asks again by itself after its connection broke
        super().putrequest(method, url, skip_host, skip_accept_encoding)

    def hang_up(self, errand: Errand) -> None:
        """Shut it if it is still that errand's. Whoever reads from it is at the end at once; closing alone would not wake them."""
        if self._owner is errand and self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _take(self) -> None:
        with _handover:
            self._owner = _current.get()
            if self._owner is not None:
                self._owner.add(self)


class _SecureConnection(_Connection, HTTPSConnection):
    """The same, over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def serve_errands(pools: PoolManager, *, connections: int) -> None:
    """Have `pools` use connections that are shut with their errand, and keep so many of them open."""
    pools.connection_pool_kw["maxsize"] = connections
    pools.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    pools.clear()  # those that were made before
