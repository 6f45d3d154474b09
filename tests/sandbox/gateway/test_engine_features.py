"""What the warehouse is built of works through the gateway, and for several processes at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect import dbapi
from clickhouse_connect.cc_sqlalchemy.datatypes.sqltypes import String, UInt32
from clickhouse_connect.cc_sqlalchemy.ddl.tableengine import MergeTree
from clickhouse_connect.driver.client import Client
from sqlalchemy import Column, MetaData, Table, create_engine, insert, select, text
from sqlalchemy.engine import URL

from sandbox.gateway.launch import RunningGateway
from tests.sandbox.gateway.conftest import Connect, connect_to

EVENTS = """
CREATE TABLE events
(
    id UInt64, at DateTime('UTC'), delivered Nullable(DateTime('UTC')),
    seconds Nullable(Int64) ALIAS dateDiff('second', at, delivered)
)
ENGINE = MergeTree PARTITION BY toDate(at) ORDER BY (at, id) TTL at + INTERVAL 30 DAY
"""
MERGED = """
CREATE TABLE merged
(
    id UInt64, at SimpleAggregateFunction(min, DateTime('UTC')),
    delivered SimpleAggregateFunction(max, Nullable(DateTime('UTC'))), parts AggregateFunction(count)
)
ENGINE = AggregatingMergeTree ORDER BY id
"""
VIEW = """
CREATE MATERIALIZED VIEW merge_events TO merged AS
SELECT id, min(at) AS at, max(delivered) AS delivered, countState() AS parts FROM events GROUP BY id
"""


@pytest.fixture
def warehouse(client: Client) -> Client:
    for statement in (EVENTS, MERGED, VIEW):
        client.command(statement)
    return client


def test_a_materialized_view_merges_what_arrives_in_parts(warehouse: Client) -> None:
    for row in (
        '{"id":1,"at":"2099-01-01 00:00:00"}',
        '{"id":1,"at":"2099-01-01 00:00:05","delivered":"2099-01-01 00:00:09"}',
    ):
        warehouse.raw_insert("events", insert_block=row.encode(), fmt="JSONEachRow")

    sql = "SELECT id, toSecond(at), toSecond(delivered), finalizeAggregation(parts) FROM merged FINAL"
    assert warehouse.query(sql).result_rows == [(1, 0, 9, 2)]


def test_an_alias_column_is_computed(warehouse: Client) -> None:
    warehouse.command("INSERT INTO events (id, at, delivered) VALUES (1, '2099-01-01 00:00:00', '2099-01-01 00:00:07')")

    assert warehouse.query("SELECT seconds FROM events").result_rows == [(7,)]


def test_rows_past_their_ttl_are_dropped_by_a_merge(warehouse: Client) -> None:
    warehouse.command("INSERT INTO events (id, at) VALUES (1, '2020-01-01 00:00:00'), (2, '2099-01-01 00:00:00')")
    warehouse.command("OPTIMIZE TABLE events FINAL")

    assert warehouse.query("SELECT id FROM events").result_rows == [(2,)]


def test_tables_can_be_altered(warehouse: Client) -> None:
    warehouse.command("INSERT INTO events (id, at) VALUES (1, '2099-01-01 00:00:00'), (2, '2099-01-01 00:00:00')")
    warehouse.command("ALTER TABLE events ADD COLUMN note String DEFAULT 'none'")
    warehouse.command("ALTER TABLE events UPDATE note = 'seen' WHERE id = 1", settings={"mutations_sync": 2})
    warehouse.command("ALTER TABLE events DROP PARTITION '2098-01-01'")

    assert warehouse.query("SELECT note FROM events ORDER BY id").result_rows == [("seen",), ("none",)]


def test_a_token_makes_a_repeated_insert_one(client: Client) -> None:
    client.command(
        "CREATE TABLE once (n UInt8) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100"
    )
    for _ in range(2):
        client.insert("once", [[1]], settings={"insert_deduplication_token": "t"})

    assert client.command("SELECT count() FROM once") == 1


ROOT = Path(__file__).parents[3]


def insert_thousand(address: tuple[str, int, str, str], worker: int) -> int:
    host, port, password, database = address
    with clickhouse_connect.get_client(host=host, port=port, password=password, database=database) as client:
        for batch in range(10):
            client.insert("shared", [[worker, batch * 100 + n] for n in range(100)])
            client.query("SELECT count() FROM shared")
    return 1000


def test_several_processes_write_and_read_at_once(client: Client, gateway: RunningGateway, database: str) -> None:
    client.command("CREATE TABLE shared (worker UInt8, n UInt32) ENGINE = MergeTree ORDER BY (worker, n)")
    address = (gateway.host, gateway.port, gateway.password, database)
    code = f"from {__name__} import insert_thousand; print(insert_thousand({address!r}, int(sys.argv[1])))"
    # Not a pool of processes: it starts the main module again, which an earlier test of a page may have replaced.
    running = [
        subprocess.Popen([sys.executable, "-c", f"import sys; {code}", str(n)], stdout=subprocess.PIPE, cwd=ROOT)
        for n in range(4)
    ]
    written = sum(int(process.communicate(timeout=60)[0]) for process in running)

    assert client.query("SELECT count(), uniqExact(worker, n) FROM shared").result_rows == [(written, written)]


def test_many_threads_share_one_client_without_a_session(connect: Connect) -> None:
    client = connect(autogenerate_session_id=False)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: client.command("SELECT {n:UInt32}", parameters={"n": n}), range(300)))

    assert answers == list(range(300))


async def test_the_async_client_queries_streams_and_inserts(gateway: RunningGateway, database: str) -> None:
    client = await clickhouse_connect.get_async_client(
        host=gateway.host, port=gateway.port, username=gateway.user, password=gateway.password, database=database
    )
    async with client:
        await client.command("CREATE TABLE a (n UInt32) ENGINE = MergeTree ORDER BY n")
        await client.insert("a", [[1], [2]], column_names=["n"])
        values = [f"value {n}" for n in range(3000)]
        long = await client.query("SELECT length({v:Array(String)})", parameters={"v": values})
        async with await client.query_row_block_stream("SELECT number FROM numbers(200000)") as stream:
            streamed = sum([len(block) async for block in stream])
        total = await client.query("SELECT sum(n) FROM a")

    assert (total.result_rows, long.result_rows, streamed) == ([(3,)], [(3000,)], 200_000)


def test_the_db_api_works(gateway: RunningGateway, database: str) -> None:
    connection = dbapi.connect(
        host=gateway.host, port=gateway.port, username=gateway.user, password=gateway.password, database=database
    )
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE d (n UInt32, s String) ENGINE = MergeTree ORDER BY n")
    cursor.executemany("INSERT INTO d (n, s) VALUES", [(1, "a"), (2, "b")])
    cursor.execute("SELECT n, s FROM d WHERE n > %(n)s", {"n": 1})
    rows = cursor.fetchall()
    connection.close()

    assert [tuple(row) for row in rows] == [(2, "b")]


def test_the_sqlalchemy_dialect_works(gateway: RunningGateway, database: str) -> None:
    url = URL.create(
        "clickhousedb", gateway.user, gateway.password, host=gateway.host, port=gateway.port, database=database
    )
    engine = create_engine(url)
    table = Table("q", MetaData(), Column("n", UInt32, primary_key=True), Column("s", String), MergeTree(order_by="n"))
    with engine.connect() as connection:
        table.create(connection)
        connection.execute(insert(table), [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}])
        rows = connection.execute(select(table.c.n, table.c.s).where(table.c.n == 2)).all()
        version = connection.execute(text("SELECT version()")).scalar()
    engine.dispose()

    assert ([tuple(row) for row in rows], bool(version)) == ([(2, "b")], True)


def test_a_client_without_the_password_does_not_get_in(gateway: RunningGateway) -> None:
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="516"):
        connect_to(gateway, password="wrong")
