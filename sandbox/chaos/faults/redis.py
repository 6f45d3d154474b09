"""F12 and F13: Redis dies, hangs, or refuses in each of its ways, as the mirror and as the store that serves; with both stores
down codes are sent and checked without a store.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.chaos.cluster import Plan, can_mount, fill
from sandbox.chaos.nemesis import LOSES_MIRROR, STAYS, Around, Fault, Field, needs_mysql
from sandbox.chaos.proxy import BLACK_HOLE, DOWN, NONE, Link, Trouble, latency
from sandbox.ports import LOOPBACK

_BOTH_WITHIN_SECONDS = 10.0
_TIMEOUT_SECONDS = 5.0
_DISK_MB = 16
_LATE = latency(250, jitter_ms=100)
"""Each question is answered in time, and the several of a call take longer than it may wait."""


@contextmanager
def administration(field: Field) -> Iterator[redis.Redis]:
    """The server itself, past every link."""
    url = field.cluster.settings.mirror.url.get_secret_value()
    client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0))
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def killed(field: Field) -> AsyncIterator[None]:
    """`kill -9`, and a start on the same folder."""
    server = field.cluster.members["redis"]
    await asyncio.to_thread(server.kill)
    yield
    await server.restart()


@asynccontextmanager
async def hung(field: Field) -> AsyncIterator[None]:
    """SIGSTOP: connections stay open and nothing is answered."""
    server = field.cluster.members["redis"]
    server.hang()
    yield
    server.go_on()


@asynccontextmanager
async def read_only(field: Field) -> AsyncIterator[None]:
    """READONLY: it was demoted to the replica of a server that is not there."""
    with administration(field) as server:
        await asyncio.to_thread(server.replicaof, LOOPBACK, 1)
        yield
        await asyncio.to_thread(server.replicaof, "NO", "ONE")


@asynccontextmanager
async def out_of_memory(field: Field) -> AsyncIterator[None]:
    """OOM: it may use less than it has."""
    with administration(field) as server:
        before = (await asyncio.to_thread(server.config_get, "maxmemory"))["maxmemory"]
        await asyncio.to_thread(server.config_set, "maxmemory", 1)
        yield
        await asyncio.to_thread(server.config_set, "maxmemory", str(before))


@asynccontextmanager
async def cannot_save(field: Field) -> AsyncIterator[None]:
    """MISCONF: a snapshot failed, because a folder lies where its file belongs."""
    in_the_way = field.cluster.folder / "redis" / "dump.rdb"
    with administration(field) as server:
        in_the_way.unlink(missing_ok=True)
        await asyncio.to_thread(in_the_way.mkdir)
        await asyncio.to_thread(server.config_set, "save", "3600 1")
        await asyncio.to_thread(server.bgsave)
        yield
        await asyncio.to_thread(server.config_set, "save", "")
        await asyncio.to_thread(in_the_way.rmdir)


@asynccontextmanager
async def busy(field: Field) -> AsyncIterator[None]:
    """BUSY: somebody runs a script without an end."""
    with administration(field) as server, administration(field) as other:
        await asyncio.to_thread(server.config_set, "busy-reply-threshold", 50)
        endless = threading.Thread(target=_run_for_ever, args=(other,), daemon=True)
        endless.start()
        yield
        await asyncio.to_thread(server.script_kill)
        await asyncio.to_thread(endless.join)


def _run_for_ever(client: redis.Redis) -> None:
    with suppress(redis.RedisError):  # it is killed in the end
        client.eval("while true do end", 0)


@asynccontextmanager
async def password_rotated(field: Field) -> AsyncIterator[None]:
    """WRONGPASS: the service's password is good no longer, and all connections end."""
    with administration(field) as server:
        before = (await asyncio.to_thread(server.config_get, "requirepass"))["requirepass"]
        await asyncio.to_thread(server.config_set, "requirepass", "rotated")
        await asyncio.to_thread(server.execute_command, "CLIENT", "KILL", "TYPE", "normal")
        field.begins()
        yield
        await asyncio.to_thread(server.config_set, "requirepass", str(before))


@asynccontextmanager
async def loading(field: Field) -> AsyncIterator[None]:
    """LOADING: it was killed, and takes its time to read what it kept."""
    server = field.cluster.members["redis"]
    as_it_was = server.process
    with administration(field) as client:
        keys = int(await asyncio.to_thread(client.dbsize))
        await asyncio.to_thread(_rewrite, client)
    delay_microseconds = int(field.seconds * 1e6 / max(1, keys))
    await asyncio.to_thread(server.kill)
    field.begins()
    server.process = replace(as_it_was, argv=[*as_it_was.argv, "--key-load-delay", str(delay_microseconds)])
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    yield
    field.note(f"{keys} keys were being loaded" if not starting.done() else f"{keys} keys were loaded too soon")
    await starting
    server.process = as_it_was


def _rewrite(client: redis.Redis) -> None:
    """Leave one entry a key in its file: every command that is read again takes the delay."""
    client.bgrewriteaof()
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while client.info("persistence")["aof_rewrite_in_progress"] and time.monotonic() < deadline:
        time.sleep(0.02)


def disk_full(policy: str) -> Around:
    """Nothing is left of a small disk; later there is room again. With fsync at every write the server ends itself."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        server, filler = field.cluster.members["redis"], field.cluster.folder / "redis" / "filler"
        with administration(field) as client:
            await asyncio.to_thread(client.config_set, "appendfsync", policy)
        await asyncio.to_thread(fill, filler)
        field.begins()
        yield
        filler.unlink()
        if not server.is_up:
            field.note("Redis ended itself and was started again")
            await server.restart()

    return around


def _needs_mount(plan: Plan) -> str:
    return needs_mysql(plan) or ("" if can_mount() else "a small disk can be mounted by root only")


_small_disk = partial(
    Fault,
    victim="redis",
    expects=LOSES_MIRROR,
    impossible=_needs_mount,
    plan=lambda plan: replace(plan, mirror_disk_mb=_DISK_MB),
)


@asynccontextmanager
async def both_down(field: Field) -> AsyncIterator[None]:
    """MySQL is away and Redis is killed while it serves; Redis is back first."""
    await field.trouble("mysql", DOWN)
    await field.operator.until_all("mysql_fatal", within_seconds=_BOTH_WITHIN_SECONDS)
    server = field.cluster.members["redis"]
    await asyncio.to_thread(server.kill)
    yield
    await server.restart()
    await field.operator.until_all("mysql_fatal", within_seconds=_BOTH_WITHIN_SECONDS)
    await field.heal("mysql")


@asynccontextmanager
async def crossed(field: Field) -> AsyncIterator[None]:
    """MySQL is late for one instance, and the other has lost Redis: who gives up waiting must not decide where nobody hears."""
    late = [link for link in field.cluster.links["mysql"] if link.name.startswith("a ")]
    silent = [link for link in field.cluster.links["redis"] if link.name.startswith("b ")]
    await _set_all(silent, BLACK_HOLE)
    await _set_all(late, _LATE)
    yield
    await _set_all([*silent, *late], NONE)


async def _set_all(links: Iterable[Link], trouble: Trouble) -> None:
    for link in links:
        await asyncio.to_thread(link.set, trouble)


FAULTS = (
    Fault(
        number="F12a",
        title="Redis killed (-9), restarted later",
        victim="redis",
        around=killed,
        expects=LOSES_MIRROR,
    ),
    Fault(number="F12b", title="Redis hangs (SIGSTOP)", victim="redis", around=hung, expects=LOSES_MIRROR),
    Fault(number="F12c", title="Redis read-only (READONLY)", victim="redis", around=read_only, expects=LOSES_MIRROR),
    Fault(number="F12d", title="Redis out of memory (OOM)", victim="redis", around=out_of_memory, expects=LOSES_MIRROR),
    Fault(number="F12e", title="Redis cannot save (MISCONF)", victim="redis", around=cannot_save, expects=LOSES_MIRROR),
    Fault(number="F12f", title="Redis in an endless script (BUSY)", victim="redis", around=busy, expects=STAYS),
    Fault(
        number="F12g",
        title="Redis killed while it serves for MySQL",
        victim="mysql and redis",
        around=both_down,
        expects=("mysql_fatal", "both_fatal", "mysql_fatal", "recovering", "healthy"),
        tolerates=frozenset({503}),
        seconds=12.0,
        quick_seconds=12.0,  # the first four are MySQL's alone
    ),
    Fault(
        number="F12h", title="Redis' password rotated", victim="redis", around=password_rotated, expects=LOSES_MIRROR
    ),
    Fault(number="F12i", title="Redis killed, then LOADING", victim="redis", around=loading, expects=LOSES_MIRROR),
    Fault(
        number="F12j",
        title="MySQL late for one, Redis gone for the other",
        victim="mysql and redis",
        around=crossed,
        expects=None,
        tolerates=frozenset({503}),
        seconds=12.0,
        impossible=needs_mysql,
    ),
    _small_disk(number="F13a", title="Redis' disk full, fsync every second", around=disk_full("everysec")),
    _small_disk(number="F13b", title="Redis' disk full, fsync always", around=disk_full("always")),
)
