"""F19: ClickHouse dies, hangs, is killed while it inserts, or is handed a row that is none. Callers notice none of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from core import warehouse as door
from core.queue import events_subject
from sandbox.chaos.faults.queue import connected
from sandbox.chaos.nemesis import Fault, Field

_HEARD_SECONDS = 10.0
_BURIED_SECONDS = 20.0
_POLL_SECONDS = 0.2


@asynccontextmanager
async def down(field: Field) -> AsyncIterator[None]:
    """`kill -9`, and a start on the same folder."""
    server = field.cluster.members["clickhouse"]
    await asyncio.to_thread(server.kill)
    yield
    await server.restart()


@asynccontextmanager
async def hung(field: Field) -> AsyncIterator[None]:
    """SIGSTOP in whatever it is doing."""
    server = field.cluster.members["clickhouse"]
    server.hang()
    yield
    server.go_on()


@asynccontextmanager
async def killed_again_and_again(field: Field) -> AsyncIterator[None]:
    """Killed three times, a moment after inserts began to come again."""
    server = field.cluster.members["clickhouse"]
    for _ in range(3):
        await asyncio.to_thread(server.kill)
        await server.restart()
        await asyncio.sleep(float(field.rng.uniform(0.2, 1.2)))
    yield


@asynccontextmanager
async def bad_row(field: Field) -> AsyncIterator[None]:
    """A batch that came before comes once more, with two lines in it that are no events."""
    before = await asyncio.to_thread(dead_letters, field)
    async with connected(field) as connection:
        overheard = await connection.subscribe(events_subject("send"))
        good = (await overheard.next_msg(timeout=_HEARD_SECONDS)).data
        spoilt = b"\n".join([b"no event", *good.splitlines(), b'{"kind":"send","v":1}'])
        await connection.jetstream().publish(events_subject("send"), spoilt, headers={"Nats-Msg-Id": uuid4().hex})
    yield
    for _ in range(int(_BURIED_SECONDS / _POLL_SECONDS)):
        buried = await asyncio.to_thread(dead_letters, field) - before
        if buried:
            break
        await asyncio.sleep(_POLL_SECONDS)
    if buried != 2:
        field.fail("I5", f"{buried} dead letters for a batch with 2 bad lines")


def dead_letters(field: Field) -> int:
    """How many there are."""
    warehouse = door.connect(field.cluster.settings.warehouse)
    try:
        return int(warehouse.query_rows("SELECT count() FROM dead_letters FINAL")[0][0])
    finally:
        warehouse.close()


FAULTS = (
    Fault(number="F19a", title="ClickHouse killed (-9), restarted later", victim="clickhouse", around=down),
    Fault(number="F19b", title="ClickHouse hangs (SIGSTOP)", victim="clickhouse", around=hung),
    Fault(
        number="F19c",
        title="ClickHouse killed in inserts, three times",
        victim="clickhouse",
        around=killed_again_and_again,
    ),
    Fault(number="F19d", title="two bad lines in a batch of events", victim="clickhouse", around=bad_row, seconds=4.0),
)
