"""What clickhouse-connect's client can do, it can do here."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import lz4.frame
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from tests.sandbox.gateway.conftest import Connect

TYPED = """
CREATE TABLE typed
(
    id UUID, at DateTime64(3, 'UTC'), day Date, name LowCardinality(String), note Nullable(String), n Int64,
    share Float64, price Decimal(18, 4), tags Array(String), labels Map(String, UInt8), kind Enum8('a' = 1, 'b' = 2)
)
ENGINE = MergeTree ORDER BY n
"""
ROW = [
    UUID("01890000-0000-7000-8000-000000000001"),
    datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC),
    datetime(2026, 3, 4, tzinfo=UTC).date(),
    "löw",
    None,
    -5,
    0.25,
    Decimal("12.3400"),
    ["x", "y'z"],
    {"k": 1},
    "b",
]


@pytest.fixture
def numbers(client: Client) -> str:
    client.command("CREATE TABLE numbers_ (n UInt32, s String DEFAULT 'd') ENGINE = MergeTree ORDER BY n")
    return "numbers_"


def total(client: Client, table: str = "numbers_") -> tuple[int, int]:
    return client.query(f"SELECT count(), sum(n) FROM {table}").result_rows[0]


def test_command_gives_a_scalar(client: Client) -> None:
    assert client.command("SELECT 40 + 2") == 42


def test_ping_answers(client: Client) -> None:
    assert client.ping()


def test_query_gives_every_type_that_was_inserted(client: Client) -> None:
    client.command(TYPED)
    client.insert("typed", [ROW])

    assert client.query("SELECT * FROM typed", tz_mode="aware").result_rows == [tuple(ROW)]


def test_query_tells_names_and_types_of_columns(client: Client) -> None:
    result = client.query("SELECT 1::UInt8 AS a, 'x' AS b")

    assert (result.column_names, [one.name for one in result.column_types]) == (("a", "b"), ["UInt8", "String"])


def test_query_limited_to_nothing_still_tells_its_columns(client: Client) -> None:
    assert client.query("SELECT 1 AS a LIMIT 0").column_names == ("a",)


def test_query_without_rows_is_empty(client: Client) -> None:
    assert client.query("SELECT 1 AS a WHERE 0").result_rows == []


def test_query_summary_counts_what_was_read(client: Client, numbers: str) -> None:
    client.insert(numbers, [[1], [2], [3]], column_names=["n"])

    assert client.query(f"SELECT n FROM {numbers}").summary["read_rows"] == "3"


def test_query_df_gives_a_frame(client: Client) -> None:
    frame = client.query_df("SELECT number AS n, toString(number) AS s FROM numbers(3)")

    assert frame.to_dict("list") == {"n": [0, 1, 2], "s": ["0", "1", "2"]}


def test_query_np_gives_an_array(client: Client) -> None:
    assert client.query_np("SELECT number AS n FROM numbers(3)").tolist() == [[0], [1], [2]]


def test_query_arrow_gives_a_table(client: Client) -> None:
    assert client.query_arrow("SELECT number AS n FROM numbers(3)").to_pydict() == {"n": [0, 1, 2]}


def test_row_block_stream_gives_all_rows(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(300000)") as stream:
        assert sum(len(block) for block in stream) == 300_000


def test_column_block_stream_gives_all_rows(client: Client) -> None:
    with client.query_column_block_stream("SELECT number FROM numbers(300000)") as stream:
        assert sum(len(block[0]) for block in stream) == 300_000


def test_rows_stream_gives_all_rows(client: Client) -> None:
    with client.query_rows_stream("SELECT number FROM numbers(100000)") as stream:
        assert sum(row[0] for row in stream) == sum(range(100_000))


def test_df_stream_gives_frames(client: Client) -> None:
    with client.query_df_stream("SELECT number AS n FROM numbers(300000)") as stream:
        lengths = [len(frame) for frame in stream]

    assert (sum(lengths), len(lengths) > 1) == (300_000, True)


def test_np_stream_gives_arrays(client: Client) -> None:
    with client.query_np_stream("SELECT number AS n FROM numbers(300000)") as stream:
        assert sum(len(block) for block in stream) == 300_000


def test_arrow_stream_gives_batches_of_one_stream(client: Client) -> None:
    with client.query_arrow_stream("SELECT number AS n FROM numbers(300000)") as stream:
        batches = list(stream)

    assert (sum(batch.num_rows for batch in batches), len(batches) > 1) == (300_000, True)


def test_arrow_stream_of_low_cardinality_strings_keeps_their_values(client: Client) -> None:
    with client.query_arrow_stream("SELECT toLowCardinality(toString(number % 7)) AS s FROM numbers(200000)") as stream:
        found = {value for batch in stream for value in batch.column(0).to_pylist()}

    assert found in ({str(n) for n in range(7)}, {str(n).encode() for n in range(7)})


def test_an_error_in_the_middle_of_a_stream_reaches_the_reader(client: Client) -> None:
    with (
        pytest.raises(StreamFailureError, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        client.query_row_block_stream("SELECT throwIf(number = 20000000) FROM numbers(30000000)") as stream,
    ):
        list(stream)


def test_a_stream_left_early_frees_its_session(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
        next(iter(stream))

    assert client.command("SELECT 1") == 1


@pytest.mark.parametrize(
    ("fmt", "body"),
    [
        ("CSV", b"0\n1\n"),
        ("CSVWithNames", b'"n"\n0\n1\n'),
        ("TabSeparated", b"0\n1\n"),
        ("JSONEachRow", b'{"n":0}\n{"n":1}\n'),
        ("JSONCompactEachRow", b"[0]\n[1]\n"),
    ],
)
def test_raw_query_gives_the_format_asked_for(client: Client, fmt: str, body: bytes) -> None:
    assert client.raw_query("SELECT number AS n FROM numbers(2)", fmt=fmt) == body


def test_raw_query_gives_parquet(client: Client) -> None:
    body = client.raw_query("SELECT number AS n FROM numbers(100000)", fmt="Parquet")

    assert pq.read_table(io.BytesIO(body)).num_rows == 100_000


def test_raw_stream_gives_every_byte(client: Client) -> None:
    with client.raw_stream("SELECT number FROM numbers(200000)", fmt="CSV") as stream:
        lines = stream.read().splitlines()

    assert (len(lines), lines[-1]) == (200_000, b"199999")


def test_raw_stream_of_a_format_with_a_head_has_one_head(client: Client) -> None:
    with client.raw_stream("SELECT number AS n FROM numbers(200000)", fmt="CSVWithNames") as stream:
        assert stream.read().count(b"n") == 1


def test_insert_by_rows_and_by_columns(client: Client, numbers: str) -> None:
    client.insert(numbers, [[1, "a"], [2, "b"]], column_names=["n", "s"])
    client.insert(numbers, [[3, 4], ["c", "d"]], column_names=["n", "s"], column_oriented=True)

    assert total(client) == (4, 10)


def test_insert_tells_how_many_rows_it_wrote(client: Client, numbers: str) -> None:
    assert client.insert(numbers, [[1], [2]], column_names=["n"]).written_rows == 2


def test_insert_df_with_times_and_missing_values(client: Client) -> None:
    client.command(
        "CREATE TABLE f (at DateTime64(3, 'UTC'), x Nullable(Float64), s String) ENGINE = MergeTree ORDER BY at"
    )
    start = pd.Timestamp("2026-01-01", tz="UTC")
    client.insert_df(
        "f", pd.DataFrame({"at": [start, start + timedelta(hours=1)], "x": [1.5, np.nan], "s": ["a", "b"]})
    )

    assert client.query("SELECT toHour(at), x, s FROM f ORDER BY at").result_rows == [(0, 1.5, "a"), (1, None, "b")]


def test_insert_arrow(client: Client, numbers: str) -> None:
    client.insert_arrow(numbers, pa.table({"n": pa.array([1, 2], pa.uint32()), "s": ["a", "b"]}))

    assert total(client) == (2, 3)


def test_raw_insert_of_json_lines(client: Client, numbers: str) -> None:
    client.raw_insert(numbers, insert_block=b'{"n":1}\n{"n":2,"s":"x"}\n', fmt="JSONEachRow")

    assert total(client) == (2, 3)


def test_raw_insert_of_csv(client: Client, numbers: str) -> None:
    client.raw_insert(numbers, ["n", "s"], "1,a\n2,b\n", fmt="CSV")

    assert total(client) == (2, 3)


def test_raw_insert_of_parquet(client: Client, numbers: str) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"n": pa.array(range(50_000), pa.uint32())}), file)
    client.raw_insert(numbers, insert_block=file.getvalue(), fmt="Parquet")

    assert total(client) == (50_000, sum(range(50_000)))


@pytest.mark.parametrize(
    ("compression", "compress"), [("gzip", gzip.compress), ("lz4", lz4.frame.compress), ("zstd", zstd.compress)]
)
def test_raw_insert_of_a_compressed_body(client: Client, numbers: str, compression: str, compress: object) -> None:
    body = b"".join(b'{"n":%d}\n' % n for n in range(200_000))
    client.raw_insert(numbers, insert_block=compress(body), fmt="JSONEachRow", compression=compression)  # type: ignore[operator]

    assert total(client) == (200_000, sum(range(200_000)))


def test_raw_insert_of_a_stream(client: Client, numbers: str) -> None:
    blocks = (b"%d,x\n" % n for n in range(1000))
    client.raw_insert(numbers, ["n", "s"], blocks, fmt="CSV")

    assert total(client) == (1000, sum(range(1000)))


def test_insert_with_a_bad_row_leaves_nothing(client: Client, numbers: str) -> None:
    with pytest.raises(DatabaseError, match="CANNOT_PARSE"):
        client.raw_insert(numbers, insert_block=b'{"n":1}\n{"n":"no"}\n{"n":3}\n', fmt="JSONEachRow")

    assert total(client) == (0, 0)


@pytest.mark.parametrize("compress", [False, "gzip", "lz4", "zstd"])
def test_answers_and_inserts_in_every_compression(connect: Connect, compress: str | bool) -> None:
    client = connect(compress=compress)
    client.command("CREATE TABLE c (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    rows = [[n, "text " * 5] for n in range(20_000)]
    client.insert("c", rows)

    assert client.query("SELECT n, s FROM c ORDER BY n").result_rows == [tuple(row) for row in rows]
    with client.query_row_block_stream("SELECT n FROM c") as stream:
        assert sum(len(block) for block in stream) == 20_000


def test_server_side_parameters(client: Client) -> None:
    parameters = {
        "n": 7,
        "s": "it's\ta \\ 'quote'\n",
        "list": ["x", "y'z"],
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    sql = "SELECT {n:Int32} + 1, {s:String}, {list:Array(String)}, {at:DateTime64(3, 'UTC')}"

    assert client.query(sql, parameters=parameters, tz_mode="aware").result_rows == [
        (8, parameters["s"], parameters["list"], parameters["at"])
    ]


def test_a_parameter_may_name_a_table(client: Client, numbers: str) -> None:
    assert client.query("SELECT count() FROM {t:Identifier}", parameters={"t": numbers}).result_rows == [(0,)]


def test_parameters_in_the_values_of_an_insert(client: Client, numbers: str) -> None:
    client.command(f"INSERT INTO {numbers} (n, s) VALUES ({{n:UInt32}}, {{s:String}})", parameters={"n": 5, "s": "a'b"})

    assert client.query(f"SELECT n, s FROM {numbers}").result_rows == [(5, "a'b")]


def test_parameters_too_long_for_an_address_come_as_a_form(client: Client) -> None:
    values = [f"value {n}" for n in range(3000)]

    assert client.query("SELECT length({v:Array(String)})", parameters={"v": values}).result_rows == [(3000,)]


def test_values_bound_by_the_client(client: Client) -> None:
    assert client.query("SELECT %(a)s, %(b)s", parameters={"a": "x'y", "b": 3}).result_rows == [("x'y", 3)]


def test_settings_of_a_query_hold_for_it_alone(client: Client) -> None:
    sql = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    default = client.query(sql).result_rows

    assert client.query(sql, settings={"max_block_size": 1234}).result_rows == [("1234",)]
    assert client.query(sql).result_rows == default


def test_settings_of_a_client_hold_for_all_its_queries(connect: Connect) -> None:
    client = connect(settings={"max_block_size": 777})

    assert client.query("SELECT getSetting('max_block_size')").result_rows == [(777,)]


def test_database_of_a_client_is_its_current_one(client: Client, database: str) -> None:
    assert client.command("SELECT currentDatabase()") == database


def test_a_command_can_carry_data(client: Client, numbers: str) -> None:
    client.command(f"INSERT INTO {numbers} (n) FORMAT CSV", data="1\n2\n")

    assert total(client) == (2, 3)


def test_external_data_is_refused_as_not_supported(client: Client) -> None:
    data = ExternalData(file_name="t.csv", data=b"1\n", fmt="CSV", structure="n UInt32")

    with pytest.raises(DatabaseError, match="External data is not supported"):
        client.query("SELECT * FROM t", external_data=data)


def test_names_and_texts_may_be_in_any_script(client: Client) -> None:
    client.command("CREATE TABLE `表` (`数` UInt8, s String) ENGINE = MergeTree ORDER BY `数`")
    client.insert("`表`", [[1, "三方成功率"]], column_names=["数", "s"])
    client.raw_insert("`表`", ["数", "s"], "2,填写率\n", fmt="CSV")

    rows = client.query(
        "SELECT `数`, s FROM `表` WHERE s != {s:String} ORDER BY `数`", parameters={"s": "é"}
    ).result_rows
    assert rows == [(1, "三方成功率"), (2, "填写率")]


def test_an_insert_context_can_be_used_again(client: Client, numbers: str) -> None:
    context = client.create_insert_context(numbers, column_names=["n"])
    for n in (1, 2):
        context.data = [[n]]
        client.insert(context=context)

    assert total(client) == (2, 3)
