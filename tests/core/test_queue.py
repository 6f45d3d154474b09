"""One set of tests over JetStream and its twin: kept until acknowledged, duplicates dropped, a dead server said so."""

import asyncio
import os
import signal
from contextlib import suppress
from uuid import uuid4

import nats
import pytest
from pydantic import SecretStr

from core.errors import QueueUnavailable
from core.queue import EVENTS, NUMBERS, NUMBERS_SUBJECT, events_subject
from core.queue.jetstream import JetStreamQueue
from core.queue.memory import MemoryQueue
from core.settings.servers import Queue as QueueSettings
from sandbox.ports import free_port
from sandbox.servers import start_nats

SUBJECT = events_subject("send")


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
def consumer():
    return f"test-{uuid4().hex}"


async def drain(queue, stream, consumer):
    bodies = []
    while messages := await queue.pull(stream, consumer, batch_max=100, wait_seconds=0.2):
        for message in messages:
            bodies.append(message.body)
            await message.ack()
    return bodies


async def test_what_is_published_is_pulled_in_order_and_once_acknowledged_never_again(queue, consumer):
    bodies = [f"{consumer} {number}".encode() for number in range(5)]
    for body in bodies:
        await queue.publish(SUBJECT, body, message_id=body.decode())
    pulled = await drain(queue, EVENTS, consumer)

    assert [body for body in pulled if body in bodies] == bodies
    assert await drain(queue, EVENTS, consumer) == []


async def test_the_same_message_id_is_kept_once(queue, consumer):
    body = f"{consumer} twice".encode()
    for _ in range(3):
        await queue.publish(SUBJECT, body, message_id=consumer)

    assert (await drain(queue, EVENTS, consumer)).count(body) == 1


async def test_what_is_given_back_comes_again(queue, consumer):
    await drain(queue, EVENTS, consumer)
    await queue.publish(SUBJECT, b"again", message_id=consumer)
    (first,) = await queue.pull(EVENTS, consumer, batch_max=1, wait_seconds=2)
    await first.nak()
    (second,) = await queue.pull(EVENTS, consumer, batch_max=1, wait_seconds=2)
    await second.ack()

    assert (second.sequence, second.deliveries) == (first.sequence, 2)


async def test_streams_do_not_mix(queue, consumer):
    await queue.publish(NUMBERS_SUBJECT, b"sealed", message_id=consumer)

    assert b"sealed" in await drain(queue, NUMBERS, "encryptor")
    assert b"sealed" not in await drain(queue, EVENTS, consumer)


async def test_the_state_tells_what_is_not_done(queue, consumer):
    await drain(queue, EVENTS, consumer)
    await queue.publish(SUBJECT, b"one", message_id=f"{consumer}-1")
    await queue.publish(SUBJECT, b"two", message_id=f"{consumer}-2")
    (message,) = await queue.pull(EVENTS, consumer, batch_max=1, wait_seconds=2)

    assert (await queue.state(EVENTS, consumer)).pending == 2

    await message.ack()

    assert (await queue.state(EVENTS, consumer)).pending == 1


async def test_nobody_there_is_said_at_once():
    queue = JetStreamQueue(settings(f"nats://127.0.0.1:{free_port()}"), name="test")
    with pytest.raises(QueueUnavailable) as refused:
        await queue.publish(SUBJECT, b"", message_id="x")

    assert "[queue]" in refused.value.hint


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
    pulled = await drain(queue, EVENTS, "reader")
    await queue.close()
    server.stop()

    assert [body for body in pulled if body != b"lost"] == [b"before", b"after"]


async def test_a_stream_that_somebody_deletes_is_made_again_and_read_from_again(nats_url, consumer):
    queue = JetStreamQueue(settings(nats_url), name="test")
    await drain(queue, EVENTS, consumer)
    connection = await nats.connect(nats_url)
    await connection.jetstream().delete_stream(EVENTS)
    await queue.publish(SUBJECT, b"after", message_id=consumer)
    with suppress(QueueUnavailable):  # the reader finds out
        await queue.pull(EVENTS, consumer, batch_max=10, wait_seconds=0.2)
    pulled = await drain(queue, EVENTS, consumer)
    await connection.close()
    await queue.close()

    assert pulled == [b"after"]


async def test_a_reader_is_told_of_a_server_that_hangs_and_does_not_take_it_for_an_empty_stream(tmp_path):
    server = await asyncio.to_thread(start_nats, tmp_path)
    queue = JetStreamQueue(settings(server.url, timeout_seconds=0.3), name="test")
    await queue.pull(EVENTS, "reader", batch_max=10, wait_seconds=0.1)
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(QueueUnavailable):
        await queue.pull(EVENTS, "reader", batch_max=10, wait_seconds=0.1)
    os.kill(server.pid, signal.SIGCONT)
    await queue.close()
    server.stop()
