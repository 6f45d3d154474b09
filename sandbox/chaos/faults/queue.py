"""F18: NATS dies, hangs, is full, loses a stream, or hands everything out a second time. Callers notice none of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from core.queue import EVENTS, INGEST_CONSUMER, NUMBERS, STREAM_SUBJECTS
from sandbox.chaos.cluster import INSTANCES
from sandbox.chaos.nemesis import Fault, Field
from sandbox.chaos.proxy import BLACK_HOLE, DOWN, NONE, Trouble

_DRAIN_SECONDS = 20.0
_POLL_SECONDS = 0.1


@asynccontextmanager
async def killed(field: Field) -> AsyncIterator[None]:
    """`kill -9`, and a start on the same folder."""
    server = field.cluster.members["nats"]
    await asyncio.to_thread(server.kill)
    yield
    await server.restart()


@asynccontextmanager
async def hung(field: Field) -> AsyncIterator[None]:
    """SIGSTOP: connections stay open and nothing is confirmed."""
    server = field.cluster.members["nats"]
    server.hang()
    yield
    server.go_on()


@asynccontextmanager
async def unreachable(field: Field) -> AsyncIterator[None]:
    """Whatever is sent gets lost on the way."""
    await field.trouble("nats", BLACK_HOLE)
    yield
    await field.heal("nats")


@asynccontextmanager
async def full(field: Field) -> AsyncIterator[None]:
    """Both streams are at their limit and refuse more."""
    async with administration(field) as server:
        before = {name: (await server.stream_info(name)).config.max_bytes for name in (EVENTS, NUMBERS)}
        # A limit below what is there would drop it: first nothing more comes in, then what is there goes out.
        await _limit(server, before, max_msg_size=1)
        if not await _is_drained(server):
            field.note("the streams were not empty when they were full")
        await _limit(server, dict.fromkeys(before, 1), max_msg_size=-1)
        yield
        await _limit(server, before, max_msg_size=-1)


async def _limit(server: JetStreamContext, bytes_max: Mapping[str, int | None], *, max_msg_size: int) -> None:
    for name, limit in bytes_max.items():
        info = await server.stream_info(name)
        await server.update_stream(info.config, max_bytes=limit, max_msg_size=max_msg_size)


@asynccontextmanager
async def deleted(field: Field) -> AsyncIterator[None]:
    """Somebody deletes both streams while the instances cannot reach them: what was not published must arrive all the same.

    What a stream held goes with it, so it is emptied first; nothing can bring that back but the stream's own replicas.
    """
    await _cut_instances(field, DOWN)
    async with administration(field) as server:
        if not await _is_drained(server):
            field.note("the streams were not empty when they were deleted")
        for name in (EVENTS, NUMBERS):
            await server.delete_stream(name)
    await _cut_instances(field, NONE)
    yield


@asynccontextmanager
async def redelivered(field: Field) -> AsyncIterator[None]:
    """The consumer of ingest is deleted and made again, and every event that is published meanwhile comes a second time."""
    async with connected(field) as connection:
        await connection.jetstream().delete_consumer(EVENTS, INGEST_CONSUMER)
        heard: list[Msg] = []

        async def hear(message: Msg) -> None:
            heard.append(message)

        listening = await connection.subscribe(STREAM_SUBJECTS[EVENTS], cb=hear)
        yield
        await listening.unsubscribe()  # else it would hear itself
        for message in heard:
            await connection.jetstream().publish(message.subject, message.data)
    field.note(f"{len(heard)} batches of events came a second time")


@asynccontextmanager
async def administration(field: Field) -> AsyncIterator[JetStreamContext]:
    """The server itself, past every link."""
    async with connected(field) as connection:
        yield connection.jetstream()


@asynccontextmanager
async def connected(field: Field) -> AsyncIterator[Client]:
    """A connection of its own, past every link."""
    connection = await nats.connect(field.cluster.settings.queue.url.get_secret_value())
    try:
        yield connection
    finally:
        await connection.close()


async def _cut_instances(field: Field, trouble: Trouble) -> None:
    links = [link for link in field.cluster.links["nats"] if link.name.split()[0] in INSTANCES]
    await asyncio.gather(*(asyncio.to_thread(link.set, trouble) for link in links))


async def _is_drained(server: JetStreamContext) -> bool:
    for _ in range(int(_DRAIN_SECONDS / _POLL_SECONDS)):
        if not await _left(server):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


async def _left(server: JetStreamContext) -> int:
    try:
        reader = await server.consumer_info(EVENTS, INGEST_CONSUMER)
    except NotFoundError:
        return 1
    numbers = await server.stream_info(NUMBERS)
    return (reader.num_pending or 0) + (reader.num_ack_pending or 0) + numbers.state.messages


FAULTS = (
    Fault(number="F18a", title="NATS killed (-9), restarted later", victim="nats", around=killed),
    Fault(number="F18b", title="NATS hangs (SIGSTOP)", victim="nats", around=hung),
    Fault(number="F18c", title="NATS behind a black hole", victim="nats", around=unreachable),
    Fault(number="F18d", title="both streams full", victim="nats", around=full),
    Fault(number="F18e", title="both streams deleted", victim="nats", around=deleted),
    Fault(number="F18f", title="every event handed out again", victim="nats", around=redelivered),
)
