"""MariaDB and Valkey lost together, and servers that refuse for reasons of their own: what was acknowledged is in MySQL, once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
import redis.asyncio
import sqlalchemy
from sqlalchemy.pool import NullPool

from core.journal import backlog_bytes
from core.settings.servers import Failover as FailoverSettings
from core.settings.servers import Journal as JournalSettings
from core.settings.servers import Mirror as MirrorSettings
from core.settings.servers import Store as StoreSettings
from sandbox.servers import Server, start_mariadb, start_valkey
from service.failover import STORE_FOLDER, Failover, Status
from service.failover.notices import Notice
from service.stores.faults import FaultClass, MirrorFault, StoreFault
from service.stores.redis import RedisStore
from service.stores.sql import SqlStore
from tests.service.failover.test_servers import Load, recover
from tests.service.failover.twins import PRESUMPTION
from tests.service.stores import facts
from tests.support.servers import require_server
from tests.support.until import until


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Server]:
    require_server("mariadbd")
    server = start_mariadb(tmp_path / "mariadb")
    yield server
    server.kill()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Server]:
    server = start_valkey(tmp_path / "valkey")
    yield server
    server.kill()


@pytest.fixture
def notices() -> list[Notice]:
    return []


@pytest.fixture
async def failover(database: Server, memory: Server, notices: list[Notice], tmp_path: Path) -> AsyncIterator[Failover]:
    primary = SqlStore(StoreSettings(url=database.url, connect_timeout_seconds=1.0, read_timeout_seconds=1.0))
    await primary.prepare()
    made = Failover(
        primary=primary,
        backup=RedisStore(MirrorSettings(url=memory.url)),
        settings=FailoverSettings(probe_seconds=0.1, window_seconds=5.0),
        journal=JournalSettings(folder=tmp_path / "journal"),
        presumption=PRESUMPTION,
        on_notice=notices.append,
    )
    await made.start()
    yield made
    await made.close()


def admin(database: Server, *statements: str) -> None:
    engine = sqlalchemy.create_engine(database.admin_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))


def kept(database: Server) -> tuple[list[UUID], list[UUID]]:
    """Ids of requests, and of requests by check."""
    with sqlalchemy.create_engine(database.url, poolclass=NullPool).connect() as connection:
        requests = connection.execute(sqlalchemy.text("SELECT id FROM requests")).scalars()
        checks = connection.execute(sqlalchemy.text("SELECT request_id FROM checks")).scalars()
        return [UUID(bytes=row) for row in requests], [UUID(bytes=row) for row in checks]


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_nothing_acknowledged_is_lost_when_both_servers_are(
    failover: Failover, database: Server, memory: Server, tmp_path: Path, how: str
):
    async with Load(failover) as load:
        await load.more()
        for server in (database, memory):
            server.kill() if how == "killed" else os.kill(server.pid, signal.SIGSTOP)
        await until(lambda: failover.status is Status.BOTH_FATAL, seconds=20)
        await load.more()
        for server in (database, memory):
            server.restart() if how == "killed" else os.kill(server.pid, signal.SIGCONT)
        await until(lambda: failover.status is not Status.BOTH_FATAL, seconds=20)
        await load.more()
        await recover(failover)
        await load.more()
    await until(lambda: backlog_bytes(tmp_path / "journal" / STORE_FOLDER) == 0, seconds=20)
    requests, checks = kept(database)

    assert load.failed == []
    assert set(load.written) <= set(requests)
    assert {request_id for request_id, _ in load.checked} <= set(checks)
    assert set(Counter(checks).values()) == {1}


async def test_a_password_that_was_changed_is_an_alarm_of_its_own_and_costs_no_call(
    failover: Failover, database: Server, notices: list[Notice]
):
    await failover.write([facts.request()])
    with sqlalchemy.create_engine(database.url, poolclass=NullPool).connect() as connection:
        user, _, host = connection.execute(sqlalchemy.text("SELECT CURRENT_USER()")).scalar_one().partition("@")
    admin(database, f"ALTER USER '{user}'@'{host}' IDENTIFIED BY 'another'", f"KILL USER '{user}'@'{host}'")
    for _ in range(3):
        assert await failover.write([facts.request()]) == [True]
    await until(lambda: failover.status is Status.MYSQL_FATAL)
    told = [row for row in notices if row.kind == "credentials"]

    assert [(row.component, row.is_over) for row in told] == [("mysql", False)]
    assert "1045" in told[0].reason
    assert "1045" in failover.view().problem


async def test_a_table_that_is_missing_is_an_alarm_of_its_own_and_is_over_when_it_is_back(
    failover: Failover, database: Server, notices: list[Notice]
):
    request = facts.request()
    await failover.write([request])
    name = sqlalchemy.make_url(database.url).database
    admin(database, f"RENAME TABLE {name}.checks TO {name}.away")
    verdict = await failover.check(facts.order(request))
    admin(database, f"RENAME TABLE {name}.away TO {name}.checks")
    await until(lambda: [row.is_over for row in notices if row.kind == "credentials"] == [False, True])

    assert verdict.check == 1
    assert failover.view().problem == ""


async def test_a_server_without_a_free_connection_is_saturated(database: Server):
    engine = sqlalchemy.create_engine(database.url, poolclass=NullPool)
    admin(database, "SET GLOBAL max_connections = 10")
    held = []
    with suppress(sqlalchemy.exc.OperationalError):
        while True:
            held.append(engine.connect())
    store = SqlStore(StoreSettings(url=database.url))
    with pytest.raises(StoreFault) as refused:
        await store.probe()
    for connection in held:
        connection.close()
    await store.close()

    assert refused.value.fault is FaultClass.SATURATED


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("REPLICAOF 127.0.0.1 1", FaultClass.FATAL),  # READONLY
        ("CONFIG SET requirepass another", FaultClass.CREDENTIALS),  # NOAUTH, WRONGPASS
    ],
)
async def test_a_redis_that_refuses_is_told_by_its_class(memory: Server, command: str, fault: FaultClass):
    async with redis.asyncio.Redis.from_url(memory.url) as client:
        await client.execute_command(*command.split())
    store = RedisStore(MirrorSettings(url=memory.url))
    with pytest.raises(MirrorFault) as refused:
        await store.write([facts.request()])
    await store.close()

    assert refused.value.fault is fault


async def test_a_redis_that_is_busy_with_a_script_is_waited_for_and_never_called_down(memory: Server):
    store = RedisStore(MirrorSettings(url=memory.url))
    async with redis.asyncio.Redis.from_url(memory.url) as client:
        await client.config_set("busy-reply-threshold", 10)
        busy = asyncio.create_task(client.eval("while true do end", 0))
        async with redis.asyncio.Redis.from_url(memory.url) as other:
            told = await fault_when_asked_until_it_fails(store)
            await other.script_kill()
        await asyncio.gather(busy, return_exceptions=True)
    await store.close()

    assert told is FaultClass.TRANSIENT


async def fault_when_asked_until_it_fails(store: RedisStore) -> FaultClass:
    try:
        while True:
            await store.probe()
    except MirrorFault as error:
        return error.fault
