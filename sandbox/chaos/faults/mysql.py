"""F1 to F11: the primary store dies, hangs, lies, is full, is locked by others, or comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial

import pymysql
from sqlalchemy import make_url

from sandbox.chaos.cluster import Plan, can_mount, fill
from sandbox.chaos.nemesis import FAILS_OVER, Fault, Field, needs_mysql
from sandbox.chaos.proxy import BLACK_HOLE, CUT, DOWN, DRIP, GARBAGE, HALF_OPEN, NONE, Trouble, latency

Connection = pymysql.Connection
_DISK_MB = 160
_FLAPS_SECONDS = 2.0
_LOCKED_SECONDS = 5.0
HANG_SECONDS = 7.0
"""A store that hangs is noticed only when timeouts have passed."""


@asynccontextmanager
async def killed(field: Field) -> AsyncIterator[None]:
    """`kill -9`, and a start on the same folder."""
    mysql = field.cluster.members["mysql"]
    await asyncio.to_thread(mysql.kill)
    yield
    await mysql.restart()


@asynccontextmanager
async def hung(field: Field) -> AsyncIterator[None]:
    """SIGSTOP, SIGCONT: what was asked before is done after all, late."""
    mysql = field.cluster.members["mysql"]
    mysql.hang()
    yield
    mysql.go_on()


def troubled(trouble: Trouble) -> Callable[[Field], AbstractAsyncContextManager[None]]:
    """All links to MySQL in a trouble."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        await field.trouble("mysql", trouble)
        yield
        await field.heal("mysql")

    return around


@asynccontextmanager
async def read_only(field: Field) -> AsyncIterator[None]:
    """A demoted primary: SELECT works. The word to recover must not be taken meanwhile."""
    await _admin(field, "SET GLOBAL read_only = 1")
    await asyncio.sleep(field.seconds / 2)
    if await field.operator.recover():
        field.fail("I9", "the word to recover was taken while MySQL was read-only")
    yield
    await _admin(field, "SET GLOBAL read_only = 0")


@asynccontextmanager
async def used_up(field: Field) -> AsyncIterator[None]:
    """Every connection is taken by somebody who is idle; the service has just lost its own."""
    taken: list[Connection] = []
    await asyncio.to_thread(_take_all, field, taken)
    field.begins()
    await field.trouble("mysql", DOWN)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(_take_all, field, taken)
    await field.heal("mysql")
    field.note(f"{len(taken)} idle connections")
    yield
    for connection in taken:
        with suppress(pymysql.MySQLError, OSError):
            connection.close()


@asynccontextmanager
async def contended(field: Field) -> AsyncIterator[None]:
    """Two transactions lock what the service writes to, in opposite orders, again and again."""
    stop = asyncio.Event()
    orders = (("attempts", "checks"), ("checks", "attempts"))
    tasks = [asyncio.create_task(_lock_again_and_again(field, tables, stop)) for tables in orders]
    yield
    stop.set()
    deadlocks = sum(await asyncio.gather(*tasks))
    field.note(f"{deadlocks} deadlocks or lock waits met by the storm itself")


@asynccontextmanager
async def locked_by_backup(field: Field) -> AsyncIterator[None]:
    """The global read lock of a backup, for five seconds."""
    with _admin_connection(field) as connection:
        await asyncio.to_thread(_execute, connection, "FLUSH TABLES WITH READ LOCK")
        field.begins()
        await asyncio.sleep(min(_LOCKED_SECONDS, field.seconds))
        await asyncio.to_thread(_execute, connection, "UNLOCK TABLES")
        yield


@asynccontextmanager
async def disk_full(field: Field) -> AsyncIterator[None]:
    """Nothing is left of a small disk when a table has to grow; later there is room again."""
    mysql, database = field.cluster.members["mysql"], field.cluster.database
    assert database is not None
    filler = database.folder / "filler"
    await _admin(field, "CREATE TABLE heliograph.growing (content LONGBLOB)")
    field.begins()
    await asyncio.to_thread(fill, filler)
    await asyncio.to_thread(_grow, field)
    yield
    filler.unlink()
    if not mysql.is_up:
        field.note("MySQL ended itself and was started again")
    await mysql.restart()
    await _admin(field, "DROP TABLE heliograph.growing")


@asynccontextmanager
async def password_rotated(field: Field) -> AsyncIterator[None]:
    """The service's password is good no longer, for new connections; then all connections end."""
    password = make_url(field.cluster.store_url).password
    await _admin(field, *_users("IDENTIFIED BY %s", "rotated"))
    await _sever(field)
    yield
    await _admin(field, *_users("IDENTIFIED BY %s", str(password)))


@asynccontextmanager
async def table_missing(field: Field) -> AsyncIterator[None]:
    """Somebody has renamed a table."""
    database = make_url(field.cluster.store_url).database
    await _admin(field, f"RENAME TABLE {database}.receipts TO {database}.receipts_away")
    yield
    await _admin(field, f"RENAME TABLE {database}.receipts_away TO {database}.receipts")


@asynccontextmanager
async def flapping(field: Field) -> AsyncIterator[None]:
    """A second down, a second up, again and again."""
    times = int(field.seconds / _FLAPS_SECONDS)
    for _ in range(times):
        await field.trouble("mysql", DOWN)
        await asyncio.sleep(_FLAPS_SECONDS / 2)
        await field.heal("mysql")
        await asyncio.sleep(_FLAPS_SECONDS / 2)
    field.note(f"{times} times down and up")
    yield


@asynccontextmanager
async def one_cut_off(field: Field) -> AsyncIterator[None]:
    """Only one instance loses MySQL: the other must not go on alone."""
    link = next(link for link in field.cluster.links["mysql"] if link.name.startswith("a "))
    await asyncio.to_thread(link.set, BLACK_HOLE)
    yield
    await asyncio.to_thread(link.set, NONE)


# ---- SQL


@contextmanager
def _admin_connection(field: Field) -> Iterator[Connection]:
    with closing(_connect(field, field.cluster.admin_url)) as connection:
        yield connection


def _connect(field: Field, address: str) -> Connection:
    url = make_url(address)
    return pymysql.connect(
        host=url.host,
        port=url.port or 0,
        user=url.username,
        password=url.password or "",
        database=url.database,
        connect_timeout=5,
        read_timeout=30,
        autocommit=True,
    )


def _execute(connection: Connection, *statements: str | tuple[str, str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            if isinstance(statement, str):
                cursor.execute(statement)
            else:
                cursor.execute(*statement)


async def _admin(field: Field, *statements: str | tuple[str, str]) -> None:
    def work() -> None:
        with _admin_connection(field) as connection:
            _execute(connection, *statements)

    await asyncio.to_thread(work)


def _users(what: str, value: str) -> list[tuple[str, str]]:
    return [(f"ALTER USER 'heliograph'@'{host}' {what}", value) for host in ("127.0.0.1", "localhost")]


async def _sever(field: Field) -> None:
    """End all connections to MySQL, and let new ones through at once."""
    field.begins()
    await field.trouble("mysql", DOWN)
    await field.heal("mysql")


def _take_all(field: Field, taken: list[Connection]) -> None:
    with suppress(pymysql.MySQLError):
        while True:
            taken.append(_connect(field, field.cluster.store_url))


async def _lock_again_and_again(field: Field, tables: Sequence[str], stop: asyncio.Event) -> int:
    met = 0
    with _admin_connection(field) as connection:
        await asyncio.to_thread(_execute, connection, "SET autocommit = 0", "SET innodb_lock_wait_timeout = 1")
        while not stop.is_set():
            for table in tables:
                try:
                    statement = f"SELECT count(*) FROM (SELECT 1 FROM {table} ORDER BY request_id DESC LIMIT 50 FOR UPDATE) locked"
                    await asyncio.to_thread(_execute, connection, statement)
                    await asyncio.sleep(0.3)
                except pymysql.OperationalError:
                    met += 1
                    break
            await asyncio.to_thread(_execute, connection, "ROLLBACK")
            await asyncio.sleep(0.05)
    return met


# ---- disks


def _grow(field: Field) -> None:
    """Make MySQL ask for more disk until it fails."""
    with suppress(pymysql.MySQLError, OSError), _admin_connection(field) as connection:
        while True:
            _execute(connection, "INSERT INTO heliograph.growing VALUES (REPEAT('x', 1000000))")


def _needs_mount(plan: Plan) -> str:
    return needs_mysql(plan) or ("" if can_mount() else "a small disk can be mounted by root only")


_mysql = partial(Fault, victim="mysql", impossible=needs_mysql)
_silent = partial(_mysql, expects=FAILS_OVER, quick_seconds=HANG_SECONDS)

FAULTS = (
    _mysql(number="F1", title="MySQL killed (-9), restarted later", around=killed, expects=FAILS_OVER, seconds=10.0),
    _silent(number="F2", title="MySQL hangs (SIGSTOP), goes on", around=hung),
    _silent(number="F3a", title="black hole between us and MySQL", around=troubled(BLACK_HOLE)),
    _silent(number="F3b", title="half-open: MySQL commits, its answer is lost", around=troubled(HALF_OPEN)),
    _silent(number="F3c", title="black hole for one instance of the two", around=one_cut_off),
    _mysql(number="F4a", title="MySQL's port resets every connection", around=troubled(DOWN), expects=FAILS_OVER),
    _mysql(number="F4b", title="MySQL's answers are cut in the middle", around=troubled(CUT), expects=FAILS_OVER),
    _silent(number="F4c", title="MySQL's answers drip, 10 bytes a second", around=troubled(DRIP)),
    _mysql(number="F4d", title="garbage where MySQL greets", around=troubled(GARBAGE), expects=FAILS_OVER),
    _mysql(number="F5a", title="MySQL late by 200 ms ± 200", around=troubled(latency(200, jitter_ms=200))),
    _silent(number="F5b", title="MySQL late by 3 s", around=troubled(latency(3_000))),
    _mysql(number="F6", title="MySQL read-only, SELECT works", around=read_only, expects=FAILS_OVER),
    _mysql(number="F7", title="MySQL's connections are used up", around=used_up, expects=FAILS_OVER),
    _mysql(number="F8a", title="deadlocks and lock waits", around=contended),
    _mysql(number="F8b", title="a backup's global read lock for 5 s", around=locked_by_backup),
    Fault(
        number="F9",
        title="MySQL's disk is full",
        victim="mysql",
        around=disk_full,
        expects=FAILS_OVER,
        seconds=14.0,
        quick_seconds=9.0,
        detection_max_seconds=None,  # InnoDB tries for some seconds before it gives up and ends the server
        impossible=_needs_mount,
        plan=lambda plan: replace(plan, database_disk_mb=_DISK_MB),
    ),
    _mysql(number="F10a", title="MySQL's password rotated", around=password_rotated, expects=FAILS_OVER),
    _mysql(number="F10b", title="a table of MySQL is missing", around=table_missing, expects=FAILS_OVER),
    _mysql(
        number="F11",
        title="MySQL flaps: a second down, a second up",
        around=flapping,
        expects=FAILS_OVER,
        seconds=40.0,
        quick_seconds=8.0,
    ),
)
