"""What a backup tells instances of each other: who owes, and up to when each of them says that it has heard."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from core.settings.servers import Mirror as MirrorSettings
from service.stores import Backup
from service.stores.memory import MemoryStore
from service.stores.redis import RedisStore
from tests.service.stores.conftest import SERVERS


@pytest.fixture(params=["memory", *SERVERS])
async def backup(request: pytest.FixtureRequest) -> AsyncIterator[Backup]:
    if request.param == "memory":
        yield MemoryStore(as_mirror=True)
        return
    server = request.getfixturevalue(SERVERS[request.param])
    store = RedisStore(MirrorSettings(url=server.url), namespace=f"t{secrets.token_hex(4)}")
    yield store
    await store.close()


async def test_who_has_not_heard_yet_is_not_among_those_who_hear(backup: Backup):
    first = await backup.hear("a", until=0)

    assert (first.owed, first.hearers) == ({}, {})


async def test_each_says_until_when_it_has_heard(backup: Backup):
    until = {name: (await backup.hear(name, until=0)).at for name in ("a", "b")}
    for name, at in until.items():
        await backup.hear(name, until=at)
    heard = await backup.hear("a", until=until["a"])

    assert heard.hearers == until
    assert heard.at >= max(until.values())


async def test_whoever_hears_after_a_journal_was_registered_hears_of_it(backup: Backup):
    before = (await backup.hear("a", until=0)).at
    registered = await backup.owe("b", 7)
    heard = await backup.hear("a", until=before)
    await backup.settle("b")
    settled = await backup.hear("a", until=heard.at)

    assert before <= registered <= heard.at
    assert (heard.owed, settled.owed) == ({"b": 7}, {"b": None})


async def test_whoever_leaves_is_not_waited_for(backup: Backup):
    at = (await backup.hear("a", until=0)).at
    await backup.hear("a", until=at)
    await backup.leave("a")

    assert (await backup.hear("b", until=0)).hearers == {}


async def test_a_server_forgets_who_has_been_silent_for_an_hour(request: pytest.FixtureRequest):
    server, namespace = request.getfixturevalue("valkey_server"), f"t{secrets.token_hex(4)}"
    store = RedisStore(MirrorSettings(url=server.url), namespace=namespace)
    at = (await store.hear("a", until=0)).at
    silent = {"59 minutes": at - 59 * 60_000_000, "61 minutes": at - 61 * 60_000_000}
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.hset(f"{namespace}:hearers", mapping=silent)
    hearers = (await store.hear("a", until=at)).hearers
    await store.close()

    assert hearers == {"59 minutes": silent["59 minutes"], "a": at}
