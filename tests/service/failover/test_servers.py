"""MariaDB killed, stopped and made read-only under load: every write that was acknowledged is there afterwards, once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from core.attention import Attention
from core.clock import Timer
from core.errors import HeliographError
from core.journal import backlog_bytes
from core.settings.servers import Failover as FailoverSettings
from core.settings.servers import Journal as JournalSettings
from core.settings.servers import Mirror as MirrorSettings
from core.settings.servers import Store as StoreSettings
from sandbox.servers import Server, start_mariadb, start_valkey
from service.failover import STORE_FOLDER, Failover, Status
from service.failover.replay import replay
from service.stores.memory import MemoryStore
from service.stores.redis import RedisStore
from service.stores.sql import SqlStore
from tests.service.failover.twins import PRESUMPTION
from tests.service.stores import facts
from tests.support.servers import require_server
from tests.support.until import until

CALLERS = 16


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A MariaDB of its own: it will be killed."""
    require_server("mariadbd")
    server = start_mariadb(tmp_path_factory.mktemp("victim"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.kill()


@pytest.fixture
async def attention() -> AsyncIterator[Attention]:
    """What waits are measured by: on a machine that is busy with others this process is held up itself."""
    made = Attention()
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def failover(database: Server, memory: Server, attention: Attention, tmp_path: Path) -> AsyncIterator[Failover]:
    settings = StoreSettings(url=database.url, connect_timeout_seconds=1.0, read_timeout_seconds=1.0)
    made = Failover(
        primary=SqlStore(settings, listened=attention),
        backup=RedisStore(MirrorSettings(url=memory.url), listened=attention, namespace=tmp_path.name),
        settings=FailoverSettings(probe_seconds=0.1, window_seconds=5.0),
        journal=JournalSettings(folder=tmp_path),
        presumption=PRESUMPTION,
    )
    await made.start()
    yield made
    await made.close()


class Load:
    """Callers who write and check without a pause, and remember what was acknowledged, what failed and the longest wait."""

    def __init__(self, failover: Failover, listened: Timer = monotonic) -> None:
        self.failover, self.listened = failover, listened
        self.written: list[UUID] = []
        self.checked: list[tuple[UUID, int]] = []
        self.failed: list[HeliographError] = []
        self.longest_seconds = 0.0
        self.goes_on = True

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.goes_on = False
        await asyncio.gather(*self._tasks)

    async def more(self, count: int = 100) -> None:
        """Until so many more calls were acknowledged."""
        goal = len(self.written) + count
        await until(lambda: len(self.written) >= goal, seconds=20)

    async def _call(self) -> None:
        while self.goes_on:
            request = facts.request()
            started = self.listened()
            try:
                await self.failover.write([request, facts.attempt(request)])
                self.written.append(request.id)
                verdict = await self.failover.check(facts.order(request))
                self.checked.append((request.id, verdict.check))
            except HeliographError as error:
                self.failed.append(error)
            self.longest_seconds = max(self.longest_seconds, self.listened() - started)


async def recover(failover: Failover) -> None:
    for _ in range(100):
        try:
            await failover.recover()
            break
        except HeliographError:
            await asyncio.sleep(0.1)
    await until(lambda: failover.status is Status.HEALTHY, seconds=30)


def assert_all_is_there_once(load: Load, database: Server, folder: Path) -> None:
    with sqlalchemy.create_engine(database.url, poolclass=NullPool).connect() as connection:
        requests = [UUID(bytes=row[0]) for row in connection.execute(sqlalchemy.text("SELECT id FROM requests"))]
        query = sqlalchemy.text("SELECT request_id, `check` FROM checks")
        checks = [(UUID(bytes=row[0]), row[1]) for row in connection.execute(query)]
    assert len(set(requests)) == len(requests)
    assert set(load.written) <= set(requests)
    assert set(load.checked) <= set(checks)
    assert set(Counter(request_id for request_id, _ in checks).values()) == {
        1
    }  # an unknown outcome was not counted twice
    assert load.failed == []
    assert backlog_bytes(folder / STORE_FOLDER) == 0


async def test_nothing_acknowledged_is_lost_when_mariadb_is_killed(
    failover: Failover, database: Server, attention: Attention, tmp_path: Path
):
    async with Load(failover, attention) as load:
        await load.more()
        database.kill()
        await until(lambda: failover.status is Status.MYSQL_FATAL)
        await load.more()
        database.restart()
        await load.more()
        await recover(failover)
        await load.more()

    await until(lambda: backlog_bytes(tmp_path / STORE_FOLDER) == 0)
    assert_all_is_there_once(load, database, tmp_path)
    down = (Status.MYSQL_FATAL, Status.BOTH_FATAL)  # what becomes of Redis on a busy machine is another matter
    spells = [is_down for is_down, _ in groupby(change.new in down for change in failover.view().history)]
    assert spells.count(True) == 1
    assert failover.status is Status.HEALTHY


async def test_nothing_acknowledged_is_lost_when_mariadb_hangs_and_goes_on(
    failover: Failover, database: Server, attention: Attention, tmp_path: Path
):
    async with Load(failover, attention) as load:
        await load.more()
        os.kill(database.pid, signal.SIGSTOP)
        try:
            started = attention()
            await until(lambda: failover.status is Status.MYSQL_FATAL)
            detected_seconds = attention() - started
            await load.more()
        finally:
            os.kill(database.pid, signal.SIGCONT)
        await recover(failover)
        await load.more()

    await until(lambda: backlog_bytes(tmp_path / STORE_FOLDER) == 0)
    assert_all_is_there_once(load, database, tmp_path)
    assert detected_seconds < 3.0
    assert load.longest_seconds < 2 * (1.0 + 1.0)  # a write and a check, each the timeout and a second at most


async def test_a_server_that_reads_and_does_not_write_counts_as_down_and_does_not_look_well(
    failover: Failover, database: Server, attention: Attention, tmp_path: Path
):
    engine = sqlalchemy.create_engine(database.admin_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as admin:
        async with Load(failover, attention) as load:
            await load.more()
            admin.execute(sqlalchemy.text("SET GLOBAL read_only = 1"))
            await until(lambda: failover.status is Status.MYSQL_FATAL)
            await load.more()
            with pytest.raises(HeliographError):
                await failover.recover()
            admin.execute(sqlalchemy.text("SET GLOBAL read_only = 0"))
            await recover(failover)

    await until(lambda: backlog_bytes(tmp_path / STORE_FOLDER) == 0)
    assert_all_is_there_once(load, database, tmp_path)


async def test_a_mirror_that_is_killed_costs_no_call(
    failover: Failover, database: Server, memory: Server, attention: Attention, tmp_path: Path
):
    async with Load(failover, attention) as load:
        await load.more()
        memory.kill()
        await until(lambda: failover.status is Status.REDIS_FATAL)
        await load.more()
    memory.restart()

    assert_all_is_there_once(load, database, tmp_path)
    assert load.longest_seconds < 2.0


async def test_sqlite_locked_by_another_program_costs_no_call_and_no_change_of_status(tmp_path: Path):
    path = tmp_path / "store.sqlite3"
    backup = MemoryStore(as_mirror=True)
    made = Failover(
        primary=SqlStore(StoreSettings(url=f"sqlite:///{path}", read_timeout_seconds=0.2)),
        backup=backup,
        settings=FailoverSettings(probe_seconds=0.1),
        journal=JournalSettings(folder=tmp_path),
        presumption=PRESUMPTION,
    )
    await made.start()
    request = facts.request()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = await made.write([request, facts.attempt(request)])
        verdict = await made.check(facts.order(request))
        other.execute("ROLLBACK")
    await until(lambda: backlog_bytes(tmp_path / STORE_FOLDER) == 0)
    store = SqlStore(StoreSettings(url=f"sqlite:///{path}"))
    state = await store.request(request.id)
    await store.close()
    await made.close()

    assert (told, verdict.check) == ([True, True], 1)
    assert state == await backup.request(request.id)
    assert made.view().history == ()


async def test_replaying_again_changes_nothing(failover: Failover, database: Server, memory: Server, tmp_path: Path):
    request = facts.request()
    await failover.set_mysql_fatal("a test said so")
    await failover.write([request, facts.attempt(request)])
    await failover.check(facts.order(request))
    folder = tmp_path / STORE_FOLDER
    [journal] = folder.glob("*.journal")
    kept = journal.read_bytes()
    await recover(failover)
    store = SqlStore(StoreSettings(url=database.url))
    before = await store.request(request.id)
    journal.write_bytes(kept)
    done = await replay(folder, store)
    after = await store.request(request.id)
    await store.close()

    assert done.records == 3
    assert after == before
    assert list(folder.glob("*.journal*")) == []
