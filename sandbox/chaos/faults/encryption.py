"""F23: the encryption service is down, slow, or answers garbage: sending goes on, and the backlog of numbers drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.queue import NUMBERS
from sandbox.chaos.faults.queue import administration
from sandbox.chaos.nemesis import Around, Fault, Field
from sandbox.chaos.proxy import BLACK_HOLE, CUT, GARBAGE, Trouble, latency


@asynccontextmanager
async def down(field: Field) -> AsyncIterator[None]:
    """`kill -9`, and a start with the same key."""
    service = field.cluster.members["encryption"]
    await asyncio.to_thread(service.kill)
    yield
    await _note_backlog(field)
    await service.restart()


def troubled(trouble: Trouble) -> Around:
    """The link to it is in a trouble."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        await field.trouble("encryption", trouble)
        yield
        await _note_backlog(field)
        await field.heal("encryption")

    return around


async def _note_backlog(field: Field) -> None:
    async with administration(field) as server:
        state = (await server.stream_info(NUMBERS)).state
    field.note(f"{state.messages} messages of numbers waited on the stream, {state.bytes} bytes")


FAULTS = (
    Fault(number="F23a", title="encryption service killed (-9)", victim="encryption", around=down),
    Fault(number="F23b", title="encryption service silent", victim="encryption", around=troubled(BLACK_HOLE)),
    Fault(number="F23c", title="encryption service 3 s late", victim="encryption", around=troubled(latency(3_000))),
    Fault(number="F23d", title="encryption service answers garbage", victim="encryption", around=troubled(GARBAGE)),
    Fault(number="F23e", title="encryption service's answers cut short", victim="encryption", around=troubled(CUT)),
)
