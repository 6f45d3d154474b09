"""A session keeps what it was told; nobody else sees any of it."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from core.clock import ManualClock
from sandbox.gateway.errors import QueryRefused
from sandbox.gateway.launch import RunningGateway
from sandbox.gateway.sessions import Sessions
from tests.sandbox.gateway.conftest import Connect
from tests.sandbox.gateway.test_protocol import ask

SETTING = "SELECT toUInt64(getSetting('max_block_size'))"


def test_a_session_keeps_its_temporary_tables(connect: Connect) -> None:
    client = connect()
    client.command("CREATE TEMPORARY TABLE mine (n UInt8)")
    client.insert("mine", [[1], [2]])

    assert client.command("SELECT sum(n) FROM mine") == 3


def test_a_temporary_table_is_not_there_for_others(connect: Connect) -> None:
    connect().command("CREATE TEMPORARY TABLE mine (n UInt8)")

    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        connect().command("SELECT * FROM mine")


def test_a_session_keeps_what_it_set(connect: Connect) -> None:
    client = connect()
    client.command("SET max_block_size = 11")

    assert client.command(SETTING) == 11


def test_a_setting_of_one_query_gives_way_to_what_the_session_set(connect: Connect) -> None:
    client = connect()
    client.command("SET max_block_size = 11")

    assert [client.command(SETTING, settings=one) for one in ({"max_block_size": 12}, {"max_block_size": 13}, {})] == [
        12,
        13,
        11,
    ]


def test_a_setting_that_is_refused_leaves_the_session_as_it_was(gateway: RunningGateway) -> None:
    session = {"session_id": uuid.uuid4().hex}
    ask(gateway, b"SET max_block_size = 11", **session)
    statuses = [
        ask(gateway, SETTING.encode(), **session, max_block_size=12)[0],
        ask(gateway, SETTING.encode(), **session, no_such_setting=1)[0],
        ask(gateway, SETTING.encode(), **session, max_block_size="x")[0],
    ]

    assert statuses[:2] == [200, 404]
    assert statuses[2] >= 400
    assert ask(gateway, SETTING.encode(), **session)[2] == b"11\n"


def test_what_one_session_set_does_not_reach_the_next_request_of_another(connect: Connect) -> None:
    default = connect().command(SETTING)
    for _ in range(5):
        connect().command("SET max_block_size = 11")

    assert {connect().command(SETTING) for _ in range(20)} == {default}


def test_a_set_without_a_session_is_forgotten(connect: Connect) -> None:
    client = connect(autogenerate_session_id=False)
    default = client.command(SETTING)
    client.command("SET max_block_size = 11")

    assert {client.command(SETTING) for _ in range(20)} == {default}


def test_a_temporary_table_without_a_session_is_forgotten(connect: Connect) -> None:
    client = connect(autogenerate_session_id=False)
    client.command("CREATE TEMPORARY TABLE lost (n UInt8)")

    for _ in range(10):
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.command("SELECT * FROM lost")


def test_a_session_keeps_the_database_it_uses(connect: Connect) -> None:
    client = connect(database=None)
    client.database = None
    client.command("USE system")

    assert client.command("SELECT currentDatabase()") == "system"


def test_parameters_of_an_insert_do_not_reach_the_next_request(connect: Connect) -> None:
    client = connect(autogenerate_session_id=False)
    client.command("CREATE TABLE p (n UInt8) ENGINE = Memory")
    client.command("INSERT INTO p VALUES ({n:UInt8})", parameters={"n": 1})

    for _ in range(10):
        with pytest.raises(DatabaseError, match="UNKNOWN_QUERY_PARAMETER"):
            client.raw_query("SELECT {n:UInt8}")


def test_settings_inside_an_insert_do_not_reach_the_next_request(connect: Connect) -> None:
    client = connect(autogenerate_session_id=False)
    client.command("CREATE TABLE s (n UInt8) ENGINE = Memory")
    default = client.command(SETTING)
    client.command("INSERT INTO s SETTINGS max_block_size = 11 VALUES (1)")

    assert {client.command(SETTING) for _ in range(10)} == {default}


def test_two_queries_at_once_in_one_session_are_refused(connect: Connect) -> None:
    name = uuid.uuid4().hex
    clients = [connect(session_id=name) for _ in range(2)]

    def ask(client: object) -> str:
        try:
            clients[clients.index(client)].command("SELECT sleep(2)")  # type: ignore[arg-type]
        except DatabaseError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as threads:
        answers = sorted(threads.map(ask, clients))

    assert answers[0] == ""
    assert "SESSION_IS_LOCKED" in answers[1]


def test_a_session_that_must_exist_and_does_not_is_an_error(connect: Connect) -> None:
    client = connect(autogenerate_session_id=False)

    with pytest.raises(DatabaseError, match="SESSION_NOT_FOUND"):
        client.command("SELECT 1", settings={"session_id": uuid.uuid4().hex, "session_check": 1})


def test_a_session_ends_when_nobody_asked_for_it_in_time(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    sessions = Sessions(clock)
    sessions.leave(sessions.enter("one", must_exist=False), timeout_seconds=60)
    clock.advance(seconds=59)
    sessions.leave(sessions.enter("one", must_exist=True), timeout_seconds=60)
    clock.advance(seconds=60)

    with pytest.raises(QueryRefused, match="SESSION_NOT_FOUND"):
        sessions.enter("one", must_exist=True)
