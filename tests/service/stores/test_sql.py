"""What only the SQL store promises: poison is found, idle connections are forgiven, a hung server is not waited for."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pymysql
import pytest
import sqlalchemy
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from core.clock import ManualTimer
from core.errors import ConfigurationError
from core.settings.servers import Store as StoreSettings
from sandbox.servers import Server, start_mariadb
from service.stores import mysql_errors, schema, sqlite_errors
from service.stores.faults import FactRefused, FaultClass, StoreFault, StoreLate
from service.stores.sql import SqlStore
from tests.service.stores import facts
from tests.support.servers import require_server


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Server]:
    """A MariaDB that may be stopped and killed."""
    require_server("mariadbd")
    server = start_mariadb(tmp_path / "victim")
    yield server
    server.kill()


def execute(url: str, *statements: str) -> None:
    with sqlalchemy.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))


async def test_a_value_that_does_not_fit_fails_its_caller_and_nobody_else(sql_store: SqlStore):
    good = [facts.request() for _ in range(30)]
    bad = facts.request(carrier="x" * 65)
    calls = [sql_store.write([row, facts.attempt(row)]) for row in [*good[:13], bad, *good[13:]]]
    told = await asyncio.gather(*calls, return_exceptions=True)

    assert [place for place, answer in enumerate(told) if isinstance(answer, FactRefused)] == [13]
    assert [answer for place, answer in enumerate(told) if place != 13] == [[True, True]] * 30
    assert await sql_store.request(bad.id) is None
    assert await sql_store.sends_since(phone_hash=bad.phone_hash, category="code", since=bad.at) == []


async def test_text_that_is_no_text_fails_its_caller_and_nobody_else(sql_store: SqlStore):
    good = facts.request()
    bad = facts.request(carrier="\ud800")
    told = await asyncio.gather(sql_store.write([bad]), sql_store.write([good]), return_exceptions=True)

    assert isinstance(told[0], FactRefused)
    assert told[1] == [True]


async def test_an_error_never_repeats_a_value(sql_store: SqlStore):
    secret = "s3cr3t" * 20
    with pytest.raises(FactRefused) as refused:
        await sql_store.write([facts.request(carrier=secret)])

    assert "s3cr3t" not in str(refused.value)
    assert "s3cr3t" not in str(refused.value.__cause__)


async def test_tables_of_a_newer_version_are_refused(store_url: str):
    store = SqlStore(StoreSettings(url=store_url))
    await store.prepare()
    await store.close()
    execute(store_url, f"INSERT INTO schema_version VALUES ({schema.VERSION + 1}, '2026-03-01 00:00:00.000000')")
    newer = SqlStore(StoreSettings(url=store_url))
    with pytest.raises(ConfigurationError):
        await newer.probe()
    await newer.close()


async def test_many_instances_can_start_at_once_on_an_empty_database(store_url: str):
    stores = [SqlStore(StoreSettings(url=store_url, read_timeout_seconds=30)) for _ in range(4)]
    told = await asyncio.gather(*(store.write([facts.request()]) for store in stores))
    await asyncio.gather(*(store.close() for store in stores))

    assert told == [[True]] * 4


async def test_a_connection_that_was_closed_while_idle_costs_nobody_anything(victim: Server):
    store = SqlStore(StoreSettings(url=victim.url))
    request = facts.request()
    await store.write([request])
    await store.request(request.id)
    victim.stop()
    victim.restart()
    checked = await store.check(facts.order(request))
    state = await store.request(request.id)
    await store.close()

    assert checked.check == 1
    assert state is not None
    assert len(state.checks) == 1


async def test_a_server_that_hangs_is_waited_for_no_longer_than_the_timeout(victim: Server):
    store = SqlStore(StoreSettings(url=victim.url, connect_timeout_seconds=0.5, read_timeout_seconds=0.5))
    await store.prepare()
    await store.write([facts.request()])
    os.kill(victim.pid, signal.SIGSTOP)
    started = monotonic()
    calls = [store.write([facts.request()]) for _ in range(20)] + [store.probe()]
    told = await asyncio.gather(*calls, return_exceptions=True)
    took_seconds = monotonic() - started
    os.kill(victim.pid, signal.SIGCONT)
    await store.close()

    assert all(isinstance(answer, StoreFault) for answer in told)  # told by the server, or tired of waiting behind it
    assert {answer.fault for answer in told} == {FaultClass.FATAL}
    assert took_seconds < 5  # one behind the other they would wait for ten


async def test_a_server_that_nobody_listened_to_is_not_called_silent(victim: Server):
    settings = StoreSettings(url=victim.url, connect_timeout_seconds=0.5, read_timeout_seconds=0.5)
    store = SqlStore(settings, listened=ManualTimer())  # it stands still: this process got no time
    await store.prepare()
    os.kill(victim.pid, signal.SIGSTOP)
    calls = [store.write([facts.request()]), store.request(facts.new_id()), store.probe()]
    told = await asyncio.gather(*calls, return_exceptions=True)
    os.kill(victim.pid, signal.SIGCONT)
    await store.close()

    assert [answer.fault for answer in told] == [FaultClass.HELD_UP] * 3


async def test_the_silence_of_a_server_is_told_once_somebody_has_listened_for_long_enough(victim: Server):
    timer = ManualTimer()
    store = SqlStore(StoreSettings(url=victim.url, read_timeout_seconds=0.5), listened=timer)
    await store.prepare()
    await store.pulse()
    os.kill(victim.pid, signal.SIGSTOP)
    asking = asyncio.ensure_future(store.pulse())
    await asyncio.wait({asking}, timeout=0.5)
    was_asking = not asking.done()
    timer.advance(seconds=1.0)
    with pytest.raises(StoreLate):
        await asking
    os.kill(victim.pid, signal.SIGCONT)
    await store.close()

    assert was_asking


async def test_a_store_that_was_down_at_first_is_used_once_it_is_up(victim: Server):
    victim.stop()
    store = SqlStore(StoreSettings(url=victim.url, read_timeout_seconds=30.0))  # the tables have to be made, too
    with pytest.raises(StoreFault) as refused:
        await store.write([facts.request()])
    victim.restart()
    told = await store.write([facts.request()])
    await store.close()

    assert refused.value.fault is FaultClass.FATAL
    assert victim.plan.password not in f"{refused.value} {refused.value.hint}"
    assert f"{victim.port}" in refused.value.hint
    assert told == [True]


async def test_a_wrong_password_and_a_missing_table_are_alarms_of_their_own(victim: Server):
    store = SqlStore(StoreSettings(url=victim.url))
    await store.probe()
    wrong = victim.url.replace(victim.plan.password, "wrong")
    stranger = SqlStore(StoreSettings(url=wrong))
    execute(victim.admin_url, "DROP TABLE probes")
    faults = []
    for one in (store, stranger):
        with pytest.raises(StoreFault) as refused:
            await one.probe()
        faults.append(refused.value.fault)
        await one.close()

    assert faults == [FaultClass.CREDENTIALS] * 2


async def test_a_lock_that_is_held_for_a_while_is_waited_out(victim: Server):
    store = SqlStore(StoreSettings(url=victim.url))
    request = facts.request()
    await store.write([request])
    engine = sqlalchemy.create_engine(victim.url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("SELECT * FROM requests FOR UPDATE"))
        waiting = asyncio.create_task(store.check(facts.order(request)))
        await asyncio.wait([waiting], timeout=1.3)  # longer than one lock wait: the first try has failed by then
        assert not waiting.done()
    verdict = await waiting
    await store.close()

    assert verdict.check == 1


async def test_the_read_lock_of_a_backup_is_contention_and_no_outage(victim: Server):
    store = SqlStore(StoreSettings(url=victim.url))
    await store.write([facts.request()])
    engine = sqlalchemy.create_engine(victim.admin_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as backup:
        backup.execute(sqlalchemy.text("FLUSH TABLES WITH READ LOCK"))
        first = asyncio.create_task(store.write([facts.request()]))
        await asyncio.sleep(0.5)  # the others wait behind it in the lane
        calls = [first, *(store.write([facts.request()]) for _ in range(5))]
        told = await asyncio.gather(*calls, return_exceptions=True)
        backup.execute(sqlalchemy.text("UNLOCK TABLES"))
    await store.close()

    assert all(isinstance(answer, StoreFault) for answer in told)  # told by the server, or tired of waiting behind it
    assert {answer.fault for answer in told} == {FaultClass.TRANSIENT}


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "postgresql://host/db", "mysql+asyncmy://host/db"])
def test_an_address_that_cannot_work_is_refused_at_once(url: str):
    with pytest.raises(ConfigurationError):
        SqlStore(StoreSettings(url=url))


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (pymysql.err.OperationalError(2013, "Lost connection"), FaultClass.FATAL),
        (pymysql.err.InterfaceError(0, ""), FaultClass.FATAL),
        (pymysql.err.InternalError("Packet sequence number wrong"), FaultClass.FATAL),
        (ConnectionResetError(), FaultClass.FATAL),
        (pymysql.err.OperationalError(1290, "--read-only"), FaultClass.FATAL),
        (pymysql.err.OperationalError(1040, "Too many connections"), FaultClass.SATURATED),
        (pymysql.err.OperationalError(1213, "Deadlock"), FaultClass.TRANSIENT),
        (pymysql.err.DataError(1406, "Data too long"), FaultClass.DATA),
        (pymysql.err.IntegrityError(1062, "Duplicate"), FaultClass.DATA),
        (pymysql.err.OperationalError(1045, "Access denied"), FaultClass.CREDENTIALS),
        (pymysql.err.ProgrammingError(1146, "No table"), FaultClass.CREDENTIALS),
        (pymysql.err.OperationalError(59_999, "never seen"), FaultClass.FATAL),
    ],
)
def test_errors_of_mysql_have_a_class(error: Exception, fault: FaultClass):
    assert mysql_errors.classify(error) is fault


def test_errors_of_sqlite_have_a_class(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'a.sqlite3'}"
    execute(url, "CREATE TABLE fact (id INT PRIMARY KEY CHECK (id < 9))", "INSERT INTO fact VALUES (7)")
    faults = []
    for statement in ("INSERT INTO fact VALUES (7)", "INSERT INTO fact VALUES (9)", "SELECT * FROM other"):
        with pytest.raises((IntegrityError, sqlalchemy.exc.OperationalError)) as caught:
            execute(url, statement)
        faults.append((sqlite_errors.classify(caught.value.orig), sqlite_errors.is_duplicate(caught.value.orig)))

    assert faults == [(FaultClass.DATA, True), (FaultClass.DATA, False), (FaultClass.CREDENTIALS, False)]
