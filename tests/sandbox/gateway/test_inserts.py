"""An INSERT is answered with success only when its rows are stored, and leaves nothing but rows behind."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from sandbox.gateway.errors import QueryRefused
from sandbox.gateway.launch import RunningGateway, start_gateway
from sandbox.gateway.spool import FolderIsPattern, Spool, SpoolLimits
from tests.sandbox.gateway.test_protocol import ask

DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(150)]


def spool_of(gateway: RunningGateway) -> Path:
    return gateway.plan.folder / "data" / "spool"


def as_json(client: Client, days: list[date]) -> None:
    client.raw_insert(
        "daily", insert_block=b"".join(b'{"d":"%s"}\n' % str(d).encode() for d in days), fmt="JSONEachRow"
    )


def as_gzipped_json(client: Client, days: list[date]) -> None:
    body = gzip.compress(b"".join(b'{"d":"%s"}\n' % str(d).encode() for d in days))
    client.raw_insert("daily", insert_block=body, fmt="JSONEachRow", compression="gzip")


def as_native(client: Client, days: list[date]) -> None:
    client.insert("daily", [[d] for d in days], column_names=["d"])


def as_parquet(client: Client, days: list[date]) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"d": pa.array(days, pa.date32())}), file)
    client.raw_insert("daily", insert_block=file.getvalue(), fmt="Parquet")


@pytest.fixture
def daily(client: Client) -> Client:
    client.command("CREATE TABLE daily (d Date, x UInt8) ENGINE = MergeTree ORDER BY d PARTITION BY d")
    return client


@pytest.mark.parametrize("insert", [as_json, as_gzipped_json, as_native, as_parquet])
def test_an_error_in_the_last_block_written_reaches_the_client_in_every_format(
    daily: Client, gateway: RunningGateway, insert: Callable[[Client, list[date]], None]
) -> None:
    insert(daily, DAYS[:100])
    with pytest.raises(DatabaseError, match=r"code: 252.*TOO_MANY_PARTS"):
        insert(daily, DAYS)

    assert daily.command("SELECT count() FROM daily") == 100
    assert list(spool_of(gateway).iterdir()) == []


def test_an_error_in_a_materialized_view_reaches_the_client(daily: Client, gateway: RunningGateway) -> None:
    daily.command("CREATE TABLE seen (x UInt8) ENGINE = MergeTree ORDER BY x")
    daily.command("CREATE MATERIALIZED VIEW see TO seen AS SELECT x FROM daily WHERE NOT throwIf(x = 13, 'unlucky')")
    with pytest.raises(DatabaseError, match=r"code: 395.*unlucky.*while pushing to view"):
        daily.insert("daily", [[DAYS[0], 1], [DAYS[0], 13]])

    assert daily.command("SELECT count() FROM seen") == 0
    assert list(spool_of(gateway).iterdir()) == []


def test_a_bad_last_row_of_many_leaves_nothing_and_tells_no_place_of_ours(
    daily: Client, gateway: RunningGateway, database: str
) -> None:
    body = b'{"d":"2026-01-01"}\n' * 300_000 + b'{"d":"never"}\n'
    status, headers, told = ask(gateway, b"INSERT INTO daily FORMAT JSONEachRow\n" + body, database=database)

    assert (status, headers["x-clickhouse-exception-code"]) == (400, "38")
    assert told.count(b"Code: 38.") == told.count(b"(CANNOT_PARSE_DATE)") == 1
    assert b"at row 300001" in told
    assert str(gateway.plan.folder).encode() not in told
    assert daily.command("SELECT count() FROM daily") == 0
    assert list(spool_of(gateway).iterdir()) == []


def test_the_summary_tells_how_many_rows_were_written(daily: Client, gateway: RunningGateway, database: str) -> None:
    body = b"INSERT INTO daily FORMAT CSV\n" + b"2026-01-01,1\n" * 70_000
    status, headers, _ = ask(gateway, body, database=database)

    assert (status, json.loads(headers["x-clickhouse-summary"])["written_rows"]) == (200, "70000")
    assert daily.command("SELECT count() FROM daily") == 70_000


@pytest.mark.parametrize(
    ("clause", "arguments", "status"),
    [
        ("", {}, 200),
        ("SETTINGS input_format_skip_unknown_fields = 0", {}, 400),
        ("(d) SETTINGS input_format_skip_unknown_fields = 0, max_threads = 1", {}, 400),
        ("", {"input_format_skip_unknown_fields": 0}, 400),
        ("SETTINGS input_format_skip_unknown_fields = 1", {"input_format_skip_unknown_fields": 0}, 200),
    ],
)
def test_settings_of_an_insert_hold_wherever_they_stand(
    daily: Client, gateway: RunningGateway, database: str, clause: str, arguments: dict[str, int], status: int
) -> None:
    text = f'INSERT INTO daily {clause} FORMAT JSONEachRow\n{{"d":"2026-01-01","unknown":1}}\n'
    got_status, headers, _ = ask(gateway, text.encode(), database=database, **arguments)

    assert (got_status, headers.get("x-clickhouse-exception-code")) == (status, None if status == 200 else "117")
    assert daily.command("SELECT count() FROM daily") == (status == 200)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO daily FROM INFILE '{file}' FORMAT CSV",
        "INSERT INTO {database}.select FROM INFILE '{file}' FORMAT CSV",
        "WITH 1 AS one INSERT INTO daily FROM INFILE '{file}' FORMAT CSV",
        "INSERT INTO daily (d, x) FROM/**/infile '{file}' SETTINGS max_threads = 1 FORMAT CSV",
    ],
)
def test_a_client_cannot_have_a_file_of_ours_inserted(
    daily: Client, gateway: RunningGateway, database: str, tmp_path: Path, statement: str
) -> None:
    daily.command("CREATE TABLE select AS daily")
    file = tmp_path / "rows.csv"
    file.write_text("2026-01-01,1\n", encoding="utf-8")
    text = statement.format(file=file, database=database)
    status, _, told = ask(gateway, text.encode(), database=database)

    assert (status, b"NOT_IMPLEMENTED" in told) == (501, True)
    assert daily.command("SELECT (SELECT count() FROM daily) + (SELECT count() FROM select)") == 0


def test_a_start_removes_what_a_killed_process_left_in_the_spool(tmp_path: Path) -> None:
    gateway = start_gateway(tmp_path)
    try:
        gateway.kill()
        (spool_of(gateway) / "left").write_bytes(b"over")
        gateway.restart()
        left = list(spool_of(gateway).iterdir())
        mode = spool_of(gateway).stat().st_mode & 0o777
    finally:
        gateway.kill()

    assert (left, mode) == ([], 0o700)


@pytest.mark.parametrize("name", ["a*b", "a?", "{a,b}", "a.zip :: b"])
def test_a_folder_that_the_engine_would_take_for_a_pattern_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FolderIsPattern):
        Spool(tmp_path / name, SpoolLimits())


def test_a_spool_takes_no_more_than_its_limits_and_forgets_what_is_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", SpoolLimits(one_bytes=10, all_bytes=15))
    spool.open()
    with spool.file(iter([b"12345", b"67890"])) as first:
        content = first.read_bytes()
        with pytest.raises(QueryRefused, match="More than 15 bytes"), spool.file(iter([b"123456"])):
            pass
        with pytest.raises(QueryRefused, match="larger than 10 bytes"), spool.file(iter([b"", b"12345678901"])):
            pass
    with spool.file(iter([b"1234567890"])) as again:
        assert (again.stat().st_mode & 0o777, content) == (0o600, b"1234567890")

    assert list((tmp_path / "spool").iterdir()) == []


def test_a_disk_that_takes_no_data_is_an_error_of_the_request(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", SpoolLimits())

    with pytest.raises(QueryRefused, match=r"Code: 75.*The data cannot be kept"), spool.file(iter([b"1"])):
        pass


def test_times_and_defaults_come_out_as_they_would_of_a_server(client: Client) -> None:
    client.command(
        "CREATE TABLE kinds (n UInt32, at DateTime64(3, 'UTC'), twice UInt32 DEFAULT n * 2, word LowCardinality(String), "
        "made UInt32 MATERIALIZED n + 1, maybe Nullable(UInt8)) ENGINE = MergeTree ORDER BY n"
    )
    client.raw_insert(
        "kinds", insert_block=b'{"n":1,"at":"2026-01-01T00:00:00.5Z","maybe":null,"word":"w"}', fmt="JSONEachRow"
    )

    assert client.query("SELECT n, toString(at), twice, word, made, maybe FROM kinds").result_rows == [
        (1, "2026-01-01 00:00:00.500", 2, "w", 2, None)
    ]
