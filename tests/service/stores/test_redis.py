"""What only the mirror promises: it lets go of what is over, and says how it failed without making anyone wait."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
import redis.asyncio
import redis.exceptions as replies

from core.clock import ManualTimer
from core.errors import ConfigurationError
from core.settings.servers import Mirror as MirrorSettings
from sandbox.servers import Server, start_valkey
from service.stores.faults import FaultClass, MirrorFault
from service.stores.redis import RedisStore
from service.stores.redis_errors import classify
from tests.service.stores import facts
from tests.service.stores.facts import NOW


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Server]:
    """A Valkey that may be stopped and killed."""
    server = start_valkey(tmp_path / "victim")
    yield server
    server.kill()


async def lives_of(url: str, namespace: str) -> dict[str, int]:
    async with redis.asyncio.Redis.from_url(url, decode_responses=True) as client:
        return {key.split(":")[1]: await client.ttl(key) for key in await client.keys(f"{namespace}:*")}


async def test_entries_go_when_nothing_can_ask_for_them_any_more(valkey_server: Server):
    namespace = secrets.token_hex(4)
    store = RedisStore(MirrorSettings(url=valkey_server.url), clock=lambda: NOW, namespace=namespace)
    request = facts.request(expires_at=NOW + timedelta(minutes=10))
    await store.write([request, facts.attempt(request), facts.receipt(request)])
    lives = await lives_of(valkey_server.url, namespace)
    await store.close()

    assert lives == {
        "request": pytest.approx(600 + 3600, abs=5),
        "living": pytest.approx(25 * 3600, abs=5),
        "sends": pytest.approx(25 * 3600, abs=5),
    }


async def test_a_note_is_what_was_last_left(valkey_server: Server):
    store = RedisStore(MirrorSettings(url=valkey_server.url), namespace=secrets.token_hex(4))

    assert await store.note() == b""

    assert await store.set_note(b"one", order=1)
    assert await store.set_note(b"two", order=2)

    assert await store.note() == b"two"

    assert not await store.set_note(b"slow to tell", order=1)
    assert await store.note() == b"two"
    await store.close()


async def test_a_mirror_that_is_gone_says_so_at_once(victim: Server):
    store = RedisStore(MirrorSettings(url=victim.url, timeout_seconds=60))
    await store.probe()
    victim.kill()
    started = monotonic()
    with pytest.raises(MirrorFault) as refused:
        await store.write([facts.request()])
    await store.close()

    assert refused.value.fault is FaultClass.FATAL
    assert monotonic() - started < 30


async def test_a_mirror_that_hangs_is_waited_for_no_longer_than_the_timeout(victim: Server):
    store = RedisStore(MirrorSettings(url=victim.url, timeout_seconds=0.3))
    await store.probe()
    os.kill(victim.pid, signal.SIGSTOP)
    started = monotonic()
    with pytest.raises(MirrorFault) as refused:
        await store.write([facts.request()])
    took_seconds = monotonic() - started
    os.kill(victim.pid, signal.SIGCONT)
    await store.close()

    assert refused.value.fault is FaultClass.FATAL
    assert took_seconds < 10


async def test_a_mirror_that_nobody_listened_to_is_not_called_silent(victim: Server):
    store = RedisStore(MirrorSettings(url=victim.url, timeout_seconds=0.1), listened=ManualTimer())
    await store.probe()
    os.kill(victim.pid, signal.SIGSTOP)
    with pytest.raises(MirrorFault) as refused:
        await store.write([facts.request()])
    os.kill(victim.pid, signal.SIGCONT)
    await store.close()

    assert refused.value.fault is FaultClass.HELD_UP


async def test_a_mirror_that_came_back_is_used_again(victim: Server):
    store = RedisStore(MirrorSettings(url=victim.url))
    await store.probe()
    victim.kill()
    victim.restart()
    await store.probe()
    await store.close()


async def test_a_wrong_password_is_an_alarm_of_its_own(victim: Server):
    store = RedisStore(MirrorSettings(url=victim.url.replace(victim.plan.password, "wrong")))
    with pytest.raises(MirrorFault) as refused:
        await store.probe()
    await store.close()

    assert refused.value.fault is FaultClass.CREDENTIALS


@pytest.mark.parametrize("setting", [("maxmemory", "1"), ("min-replicas-to-write", "3")])
async def test_a_mirror_that_reads_and_does_not_write_counts_as_down(victim: Server, setting: tuple[str, str]):
    store = RedisStore(MirrorSettings(url=victim.url))
    await store.probe()
    async with redis.asyncio.Redis.from_url(victim.url) as admin:
        await admin.config_set(*setting)
    request = facts.request()
    for call in (store.probe, lambda: store.write([request]), lambda: store.check(facts.order(request))):
        with pytest.raises(MirrorFault) as refused:
            await call()
        assert refused.value.fault is FaultClass.FATAL
    state = await store.request(request.id)
    await store.close()

    assert state is None


def test_an_address_that_cannot_work_is_refused_at_once():
    with pytest.raises(ConfigurationError):
        RedisStore(MirrorSettings(url="http://host"))


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (replies.ConnectionError("refused"), FaultClass.FATAL),
        (replies.TimeoutError("no answer"), FaultClass.FATAL),
        (replies.AuthenticationError("WRONGPASS"), FaultClass.CREDENTIALS),
        (replies.BusyLoadingError("loading"), FaultClass.TRANSIENT),
        (replies.ResponseError("BUSY Redis is busy running a script."), FaultClass.TRANSIENT),
        (replies.ReadOnlyError("You can't write against a read only replica."), FaultClass.FATAL),
        (replies.ResponseError("MISCONF Redis is configured to save RDB snapshots"), FaultClass.FATAL),
        (replies.ResponseError("NOREPLICAS Not enough good replicas to write."), FaultClass.FATAL),
        (replies.ResponseError("Error running script: @user_script: 7: -OOM command not allowed"), FaultClass.FATAL),
        (replies.OutOfMemoryError("command not allowed"), FaultClass.FATAL),
        (replies.MasterDownError("MASTERDOWN"), FaultClass.FATAL),
        (replies.ConnectionError("max number of clients reached"), FaultClass.SATURATED),
        (replies.ResponseError("WRONGTYPE Operation against a key"), FaultClass.DATA),
        (replies.ResponseError("something new"), FaultClass.FATAL),
    ],
)
def test_replies_of_redis_have_a_class(error: Exception, fault: FaultClass):
    assert classify(error) is fault


async def test_a_connection_that_ended_with_the_server_is_not_used_again(victim: Server):
    store = RedisStore(MirrorSettings(url=victim.url))
    await store.probe()
    await asyncio.to_thread(victim.kill)
    await asyncio.to_thread(victim.restart)
    is_taken = await store.begin_warming()  # which is not tried twice
    await store.close()

    assert is_taken
