"""What a real Redis says when it cannot save, loads its data, or has no connection left, and what it is taken for."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import redis.asyncio
import redis.exceptions as replies

from core.settings.servers import Mirror as MirrorSettings
from sandbox.servers import Server
from sandbox.servers.base import ServerPlan, start
from sandbox.servers.valkey import plan_redis, plan_valkey
from service.stores.faults import FaultClass, MirrorFault
from service.stores.redis import RedisStore
from tests.service.stores import facts
from tests.support.servers import require_server

KEYS = 2_000
LOAD_MICROSECONDS_A_KEY = 2_000
ALONE = 10
"""Connections that the server allows in all."""


def plan_of(kind: str, folder: Path, *more: str) -> ServerPlan:
    if kind == "redis":
        require_server("redis-server")
    plan = plan_redis(folder) if kind == "redis" else plan_valkey(folder)
    return replace(plan, process=replace(plan.process, argv=[*plan.process.argv, *more]))


@pytest.fixture(params=["redis", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One that loads its data slowly, and can be told to do so."""
    slow = ("--key-load-delay", str(LOAD_MICROSECONDS_A_KEY), "--loading-process-events-interval-bytes", "1024")
    running = start(plan_of(request.param, tmp_path / "server", *slow, "--enable-debug-command", "yes"))
    yield running
    running.kill()


async def fault_of_probe(store: RedisStore) -> MirrorFault:
    with pytest.raises(MirrorFault) as refused:
        await store.probe()
    return refused.value


async def test_one_that_cannot_save_refuses_writes_and_counts_as_down(server: Server):
    store = RedisStore(MirrorSettings(url=server.url))
    request = facts.request()
    await store.write([request])
    async with redis.asyncio.Redis.from_url(server.url) as admin:
        await admin.config_set("save", "3600 1")
        shutil.rmtree(server.plan.folder)
        await admin.bgsave()
        await failed_to_save(admin)
        with pytest.raises(replies.ResponseError, match="MISCONF"):
            await admin.set("key", "value")
    refused = [await fault_of_probe(store)]
    with pytest.raises(MirrorFault) as writing:
        await store.write([facts.request()])
    state = await store.request(request.id)
    await store.close()

    assert [error.fault for error in (*refused, writing.value)] == [FaultClass.FATAL] * 2
    assert state is not None


async def failed_to_save(admin: redis.asyncio.Redis) -> None:
    while (await admin.info("persistence"))["rdb_last_bgsave_status"] == "ok":  # noqa: ASYNC110  # the server's own word
        await asyncio.sleep(0.01)


async def test_one_that_loads_its_data_is_waited_for_and_never_called_down(server: Server):
    store = RedisStore(MirrorSettings(url=server.url))
    async with redis.asyncio.Redis.from_url(server.url) as admin, redis.asyncio.Redis.from_url(server.url) as other:
        await other.ping()
        await admin.mset({f"key {number}": b"x" * 2_000 for number in range(KEYS)})
        loading = asyncio.create_task(admin.execute_command("DEBUG", "RELOAD"))
        with pytest.raises(replies.BusyLoadingError):
            await asked_until_it_refuses(other)
        refused = await fault_of_probe(store)
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
    await store.close()

    assert refused.fault is FaultClass.TRANSIENT


async def asked_until_it_refuses(client: redis.asyncio.Redis) -> None:
    while True:
        await client.get("key 1")


async def test_one_without_a_free_connection_is_saturated(server: Server):
    store = RedisStore(MirrorSettings(url=server.url))
    async with AsyncExitStack() as held:
        first = await held.enter_async_context(redis.asyncio.Redis.from_url(server.url, single_connection_client=True))
        await first.config_set("maxclients", ALONE)
        with suppress(replies.ConnectionError):
            for _ in range(ALONE):
                one = redis.asyncio.Redis.from_url(server.url, single_connection_client=True)
                await held.enter_async_context(one)
                await one.ping()
        refused = await fault_of_probe(store)
    await store.close()

    assert refused.fault is FaultClass.SATURATED
