"""Whoever asks with `readonly` cannot write, whatever the statement."""

from __future__ import annotations

from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from sandbox.gateway.launch import RunningGateway
from tests.sandbox.gateway.conftest import Connect
from tests.sandbox.gateway.test_protocol import ask

REFUSED = r"READONLY|OUTFILE|Multi-statements"
WRITES = [
    "INSERT INTO kept VALUES (2)",
    "INSERT INTO kept SELECT 2",
    "INSERT INTO kept SETTINGS readonly = 0 VALUES (2)",
    "WITH 2 AS n INSERT INTO kept SELECT n",
    "/* SELECT */ INSERT INTO kept VALUES (2)",
    "INSERT INTO FUNCTION file('{file}', CSV, 'n UInt8') SELECT 1",
    "WITH 1 AS n INSERT INTO FUNCTION file('{file}', CSV, 'n UInt8') SELECT n",
    "SELECT 1 INTO OUTFILE '{file}'",
    "SELECT 1 INTO /* */ OUTFILE '{file}' FORMAT CSV",
    "SELECT 1; DROP TABLE kept",
    "DROP TABLE kept",
    "TRUNCATE TABLE kept",
    "ALTER TABLE kept DELETE WHERE 1",
    "ALTER TABLE kept ADD COLUMN x UInt8",
    "OPTIMIZE TABLE kept FINAL",
    "RENAME TABLE kept TO gone",
    "CREATE TABLE more (n UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE t (n UInt8) ENGINE = File(CSV, '{file}')",
    "CREATE DATABASE more",
    "CREATE FUNCTION f AS x -> x",
    "DETACH TABLE kept",
    "SYSTEM STOP MERGES",
    "KILL QUERY WHERE 1",
    "EXCHANGE TABLES kept AND kept",
    "DELETE FROM kept WHERE 1",
    "BACKUP TABLE kept TO File('{file}')",
]


@pytest.fixture
def kept(client: Client) -> Client:
    client.command("CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")
    client.command("INSERT INTO kept VALUES (1)")
    return client


@pytest.mark.parametrize("statement", WRITES)
@pytest.mark.parametrize("level", [1, 2])
def test_a_readonly_client_writes_nothing(
    kept: Client, connect: Connect, tmp_path: Path, level: int, statement: str
) -> None:
    file = tmp_path / "written.csv"
    reader = connect(settings={"readonly": level})

    with pytest.raises(DatabaseError, match=REFUSED):
        reader.command(statement.format(file=file))

    assert not file.exists()
    assert kept.query("SELECT n FROM kept").result_rows == [(1,)]


@pytest.mark.parametrize("statement", WRITES)
def test_a_readonly_request_writes_nothing_in_a_session_with_a_state(
    kept: Client, connect: Connect, tmp_path: Path, statement: str
) -> None:
    file = tmp_path / "written.csv"
    reader = connect()
    reader.command("SET max_threads = 1")

    with pytest.raises(DatabaseError, match=REFUSED):
        reader.command(statement.format(file=file), settings={"readonly": 1})

    assert not file.exists()
    assert kept.query("SELECT n FROM kept").result_rows == [(1,)]


def test_setting_readonly_to_zero_does_not_free_a_readonly_client(kept: Client, connect: Connect) -> None:
    reader = connect(settings={"readonly": 1})
    reader.command("SET readonly = 0")

    with pytest.raises(DatabaseError, match="READONLY"):
        reader.command("INSERT INTO kept VALUES (2)")


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM file('{file}', CSV, 'n UInt8')",
        "SELECT file('{file}')",
        "SELECT * FROM `file`('{file}')",
        "SELECT * FROM \u201cFile\u201d('{file}')",
        "SELECT * FROM `fil\\x65`('{file}')",
        "WITH 1 AS a$x$ SELECT * FROM file('{file}') -- $x$",
        "DESCRIBE TABLE file('{file}')",
        "SELECT (SELECT count() FROM file('{file}'))",
        "SELECT * FROM filesystem('{file}')",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'n UInt8')",
        "SELECT * FROM s3('http://127.0.0.1:1/', CSV, 'n UInt8')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM executable('true', CSV, 'n UInt8')",
        "SELECT * FROM python('engine')",
    ],
)
def test_a_readonly_client_reads_nothing_outside(connect: Connect, tmp_path: Path, level: int, statement: str) -> None:
    file = tmp_path / "private.csv"
    file.write_text("7\n", encoding="utf-8")
    reader = connect(settings={"readonly": level})

    with pytest.raises(DatabaseError, match="READONLY"):
        reader.query(statement.format(file=file))


@pytest.mark.parametrize("form", ["insert", "insert_df", "raw_insert"])
def test_a_readonly_client_inserts_by_no_call(kept: Client, connect: Connect, form: str) -> None:
    reader = connect(settings={"readonly": 2})
    calls = {
        "insert": lambda: reader.insert("kept", [[2]]),
        "insert_df": lambda: reader.insert_df("kept", kept.query_df("SELECT n FROM kept")),
        "raw_insert": lambda: reader.raw_insert("kept", insert_block=b"2\n", fmt="CSV"),
    }

    with pytest.raises(DatabaseError, match="READONLY"):
        calls[form]()


@pytest.mark.parametrize("level", [1, 2])
def test_a_readonly_client_reads(kept: Client, connect: Connect, level: int) -> None:
    reader = connect(settings={"readonly": level})

    assert reader.query_df("SELECT n FROM kept").n.tolist() == [1]
    assert reader.query("DESCRIBE TABLE kept").result_rows[0][0] == "n"
    assert reader.query("SELECT max(number) FROM numbers(3) AS a, view(SELECT 'file(1)') AS b").result_rows == [(2,)]
    with reader.query_row_block_stream("SELECT n FROM kept", settings={"max_threads": 1}) as stream:
        assert list(stream) == [[(1,)]]


def test_readonly_of_one_request_does_not_hinder_the_next(kept: Client) -> None:
    kept.command("SELECT 1", settings={"readonly": 1})
    kept.command("INSERT INTO kept VALUES (2)")

    assert kept.command("SELECT count() FROM kept") == 2


def test_a_get_request_writes_nothing(kept: Client, gateway: RunningGateway, database: str) -> None:
    status, _, body = ask(gateway, query=f"INSERT INTO {database}.kept VALUES (2)", method="GET")

    assert (status, b"READONLY" in body) == (500, True)
