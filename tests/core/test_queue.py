"""One set of tests over JetStream and its twin: kept until acknowledged, duplicates dropped, a dead server said so."""

import asyncio
import os
import signal
from contextlib import suppress
from uuid import uuid4

import nats
import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy
from pydantic import SecretStr

from core.errors import QueueUnavailable
from core.queue import (
    DEDUPLICATION_SECONDS,
    ENCRYPTOR_CONSUMER,
    EVENTS,
    INGEST_CONSUMER,
    NUMBERS,
    NUMBERS_SUBJECT,
    events_subject,
)
from core.queue.jetstream import JetStreamQueue
from core.queue.memory import MemoryQueue
from core.settings.servers import Queue as QueueSettings
from sandbox.ports import free_port
from sandbox.servers import start_nats

SUBJECT = events_subject("send")
READERS = {EVENTS: INGEST_CONSUMER, NUMBERS: ENCRYPTOR_CONSUMER}


def settings(url: str, **changes) -> QueueSettings:
    return QueueSettings(url=SecretStr(url), **changes)


@pytest.fixture(params=["memory", "jetstream"])
async def queue(request):
    if request.param == "memory":
        yield MemoryQueue()
        return
    opened = JetStreamQueue(settings(request.getfixturevalue("nats_url")), name="test")
    yield opened
    await opened.close()


@pytest.fixture
def token():
    """No other test publishes it."""
    return uuid4().hex


async def drain(queue, stream):
    bodies = []
    while messages := await queue.pull(stream, READERS[stream], batch_max=100, wait_seconds=0.2):
        for message in messages:
            bodies.append(message.body)
            await message.ack()
    return bodies


async def test_what_is_published_is_pulled_in_order_and_once_acknowledged_never_again(queue, token):
    bodies = [f"{token} {number}".encode() for number in range(5)]
    for body in bodies:
        await queue.publish(SUBJECT, body, message_id=body.decode())
    pulled = await drain(queue, EVENTS)

    assert [body for body in pulled if body in bodies] == bodies
    assert await drain(queue, EVENTS) == []


async def test_what_was_acknowledged_leaves_the_stream(queue, token):
    for number in range(3):
        await queue.publish(SUBJECT, b"taken", message_id=f"{token}-{number}")
    await drain(queue, EVENTS)
    await queue.publish(SUBJECT, b"waits", message_id=token)
    state = await queue.state(EVENTS, INGEST_CONSUMER)

    assert (state.messages, state.pending) == (1, 1)


async def test_the_same_message_id_is_kept_once(queue, token):
    body = f"{token} twice".encode()
    for _ in range(3):
        await queue.publish(SUBJECT, body, message_id=token)

    assert (await drain(queue, EVENTS)).count(body) == 1


async def test_what_is_given_back_comes_again(queue, token):
    await drain(queue, EVENTS)
    await queue.publish(SUBJECT, b"again", message_id=token)
    (first,) = await queue.pull(EVENTS, INGEST_CONSUMER, batch_max=1, wait_seconds=2)
    await first.nak()
    (second,) = await queue.pull(EVENTS, INGEST_CONSUMER, batch_max=1, wait_seconds=2)
    await second.ack()

    assert (second.sequence, second.deliveries) == (first.sequence, 2)


async def test_streams_do_not_mix(queue, token):
    await queue.publish(NUMBERS_SUBJECT, b"sealed", message_id=token)

    assert b"sealed" in await drain(queue, NUMBERS)
    assert b"sealed" not in await drain(queue, EVENTS)


async def test_the_state_tells_what_is_not_done(queue, token):
    await drain(queue, EVENTS)
    await queue.publish(SUBJECT, b"one", message_id=f"{token}-1")
    await queue.publish(SUBJECT, b"two", message_id=f"{token}-2")
    (message,) = await queue.pull(EVENTS, INGEST_CONSUMER, batch_max=1, wait_seconds=2)

    assert (await queue.state(EVENTS, INGEST_CONSUMER)).pending == 2

    await message.ack()

    assert (await queue.state(EVENTS, INGEST_CONSUMER)).pending == 1


async def test_nobody_there_is_said_at_once():
    queue = JetStreamQueue(settings(f"nats://127.0.0.1:{free_port()}"), name="test")
    with pytest.raises(QueueUnavailable) as refused:
        await queue.publish(SUBJECT, b"", message_id="x")

    assert "[queue]" in refused.value.hint


class Between:
    """Stands before a server, and says to every client what a server says that refuses it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self.serving: list[asyncio.Future[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.serving.append(asyncio.current_task())
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(_pass_on(reader, ours), _pass_on(theirs, writer))

    def refuse(self) -> None:
        for writer in self._writers:
            writer.write(b"-ERR 'Authorization Violation'\r\n")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_server_that_refused_for_a_while_is_used_again(nats_server, token):
    between = Between(nats_server.port)
    async with await asyncio.start_server(between.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        url = nats_server.url.replace(str(nats_server.port), str(port))
        queue = JetStreamQueue(settings(url, timeout_seconds=2), name="test")
        await drain(queue, EVENTS)
        await queue.publish(SUBJECT, b"before", message_id=f"{token}-1")
        between.refuse()
        refused = again = 0
        async with asyncio.timeout(20):
            while not (refused and again):
                try:
                    await queue.publish(SUBJECT, b"after", message_id=f"{token}-{again + 2}")
                    again += bool(refused)
                except QueueUnavailable:
                    refused += 1
                await asyncio.sleep(0.01)
        pulled = await drain(queue, EVENTS)
        await queue.close()
        with pytest.raises(QueueUnavailable):
            await queue.publish(SUBJECT, b"closed", message_id=f"{token}-closed")
        await asyncio.gather(*between.serving)

    assert {b"before", b"after"} <= set(pulled)


async def test_a_server_that_comes_back_is_used_again_with_what_it_had(tmp_path):
    server = await asyncio.to_thread(start_nats, tmp_path)
    queue = JetStreamQueue(settings(server.url, timeout_seconds=0.5), name="test")
    await queue.publish(SUBJECT, b"before", message_id="1")
    server.kill()
    with pytest.raises(QueueUnavailable):
        await queue.publish(SUBJECT, b"lost", message_id="2")
    await asyncio.to_thread(server.restart)
    async with asyncio.timeout(20):
        while True:
            try:
                await queue.publish(SUBJECT, b"after", message_id="3")
                break
            except QueueUnavailable:
                await asyncio.sleep(0.05)
    pulled = await drain(queue, EVENTS)
    await queue.close()
    server.stop()

    assert [body for body in pulled if body != b"lost"] == [b"before", b"after"]


async def test_a_stream_that_somebody_deletes_is_made_again_and_read_from_again(nats_url, token):
    queue = JetStreamQueue(settings(nats_url), name="test")
    await drain(queue, EVENTS)
    connection = await nats.connect(nats_url)
    await connection.jetstream().delete_stream(EVENTS)
    await queue.publish(SUBJECT, b"after", message_id=token)
    with suppress(QueueUnavailable):  # the reader finds out
        await queue.pull(EVENTS, INGEST_CONSUMER, batch_max=10, wait_seconds=0.2)
    pulled = await drain(queue, EVENTS)
    await connection.close()
    await queue.close()

    assert pulled == [b"after"]


async def test_a_stream_is_not_filled_by_what_was_taken(tmp_path):
    server = await asyncio.to_thread(start_nats, tmp_path)
    queue = JetStreamQueue(settings(server.url, bytes_max=1024**2), name="test")
    for number in range(20):
        await queue.publish(SUBJECT, b"x" * 100_000, message_id=str(number))
        await drain(queue, EVENTS)
    await queue.close()
    server.stop()


async def test_a_full_stream_says_no_and_keeps_what_it_has(tmp_path):
    server = await asyncio.to_thread(start_nats, tmp_path)
    queue = JetStreamQueue(settings(server.url, bytes_max=1024**2), name="test")
    for number in range(10):
        await queue.publish(SUBJECT, b"%d" % number + b"x" * 100_000, message_id=str(number))
    with pytest.raises(QueueUnavailable):
        await queue.publish(SUBJECT, b"x" * 100_000, message_id="too much")
    kept = await drain(queue, EVENTS)
    await queue.publish(SUBJECT, b"goes on", message_id="after")
    after = await drain(queue, EVENTS)
    await queue.close()
    server.stop()

    assert [body[:1] for body in kept] == [b"%d" % number for number in range(10)]
    assert after == [b"goes on"]


@pytest.fixture
async def older(tmp_path):
    """A queue over a stream of events as an earlier version made it: what was taken stayed until it was too old."""
    server = await asyncio.to_thread(start_nats, tmp_path)
    connection = await nats.connect(server.url)
    await connection.jetstream().add_stream(
        name=EVENTS,
        subjects=["events.>"],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_age=72 * 3600,
        max_bytes=1024**2,
        duplicate_window=DEDUPLICATION_SECONDS,
    )
    await connection.close()
    queue = JetStreamQueue(settings(server.url, bytes_max=1024**2), name="test")
    yield queue
    await queue.close()
    server.stop()


async def test_a_stream_of_an_earlier_version_is_used_and_not_filled_by_what_was_taken(older):
    for number in range(20):
        await older.publish(SUBJECT, b"x" * 100_000, message_id=str(number))
        assert len(await drain(older, EVENTS)) == 1

    assert (await older.state(EVENTS, INGEST_CONSUMER)).messages == 0


async def test_a_stream_of_an_earlier_version_lets_go_of_nothing_that_was_not_acknowledged(older):
    for number in range(4):
        await older.publish(SUBJECT, b"%d" % number, message_id=str(number))
    messages = await older.pull(EVENTS, INGEST_CONSUMER, batch_max=3, wait_seconds=2)
    for message in (messages[0], messages[2]):
        await message.ack()
    await drain(older, EVENTS)
    state = await older.state(EVENTS, INGEST_CONSUMER)

    assert messages[1].sequence == 2
    assert (state.messages, state.pending) == (3, 1)  # from the second on


async def test_a_reader_is_told_of_a_server_that_hangs_and_does_not_take_it_for_an_empty_stream(tmp_path):
    server = await asyncio.to_thread(start_nats, tmp_path)
    queue = JetStreamQueue(settings(server.url, timeout_seconds=0.3), name="test")
    await queue.pull(EVENTS, INGEST_CONSUMER, batch_max=10, wait_seconds=0.1)
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(QueueUnavailable):
        await queue.pull(EVENTS, INGEST_CONSUMER, batch_max=10, wait_seconds=0.1)
    os.kill(server.pid, signal.SIGCONT)
    await queue.close()
    server.stop()
