"""The gateway finds the kind, the formats and the data of a statement, whatever stands in its strings and comments."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.errors import QueryRefused
from sandbox.gateway.sql import Kind, called, parse


@pytest.mark.parametrize(
    ("text", "head", "fmt", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2", b"INSERT INTO t", "CSV", b"1,2"),
        (b"insert into t format JSONEachRow {}", b"insert into t", "JSONEachRow", b"{}"),
        (
            b"INSERT INTO t (a, `format`) FORMAT Native\r\n\x00\xff",
            b"INSERT INTO t (a, `format`)",
            "Native",
            b"\x00\xff",
        ),
        (b"INSERT INTO t VALUES (1), (2)", b"INSERT INTO t", "Values", b" (1), (2)"),
        (b"INSERT INTO t SETTINGS a = 1 FORMAT TSV\n\n1", b"INSERT INTO t SETTINGS a = 1", "TSV", b"\n1"),
        (
            b"/* FORMAT X */ INSERT INTO TABLE db.t -- VALUES\n FORMAT CSV\n",
            b"/* FORMAT X */ INSERT INTO TABLE db.t",
            "CSV",
            b"",
        ),
        (
            b"INSERT INTO FUNCTION file('FORMAT CSV') FORMAT TSV\nx",
            b"INSERT INTO FUNCTION file('FORMAT CSV')",
            "TSV",
            b"x",
        ),
        (b"INSERT INTO values FORMAT CSV\n1", b"INSERT INTO values", "CSV", b"1"),
        (b"INSERT INTO db.values FORMAT CSV\n1", b"INSERT INTO db.values", "CSV", b"1"),
        (b"INSERT INTO {d:Identifier}.select FORMAT CSV\n1", b"INSERT INTO {d:Identifier}.select", "CSV", b"1"),
    ],
)
def test_an_insert_is_split_from_its_data(text: bytes, head: bytes, fmt: str, data: bytes) -> None:
    statement = parse(text)

    assert statement.kind is Kind.INSERT_DATA
    assert (statement.head, statement.input_format, text[statement.data_start :]) == (head, fmt, data)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"INSERT INTO t", b""),
        (b"INSERT INTO t (a, settings)", b""),
        (b"INSERT INTO t (a) ", b"SETTINGS a = 1, b = 'SETTINGS'"),
        (b"insert into db.settings /* SETTINGS */ ", b"settings a = 1"),
        (b"INSERT INTO t -- SETTINGS\n", b"SETTINGS a = 1"),
    ],
)
@pytest.mark.parametrize("data", [b" FORMAT CSV\n1", b" VALUES (1)"])
def test_what_an_insert_reads_stands_before_its_settings(before: bytes, after: bytes, data: bytes) -> None:
    statement = parse(before + after + data)

    assert (statement.head[: statement.source_at], statement.head[statement.source_at :]) == (before, after)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"SELECT f(1), G (2), /* h(3) */ 'i(4)', j -- (5)", ["f", "g"]),
        (b'SELECT `f`(1), "g" /**/ (2), `h`', ["f", "g"]),
        (b"SELECT `\\x66`(1)", ["\\"]),
        ("SELECT \u201cf\u201d(1), \u2018g(2)\u2019".encode(), ["f"]),
        (b"SELECT 1 AS a$x$, f(2) -- $x$", ["f"]),
        (b"SELECT $x$ f(1) $x$, (2)", []),
    ],
)
def test_the_names_that_are_called_are_found(text: bytes, names: list[str]) -> None:
    assert list(called(text)) == names


@pytest.mark.parametrize(
    ("text", "fmt"),
    [
        (b"SELECT 1", ""),
        (b"SELECT 1 FORMAT Native", "Native"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "JSON"),
        (b"SELECT 'x FORMAT CSV'", ""),
        (b"SELECT 1 -- FORMAT CSV", ""),
        (b"SELECT (SELECT 1 FORMAT CSV) FORMAT TSV", "TSV"),
        (b"WITH 1 AS a SELECT a\nFORMAT Parquet;", "Parquet"),
    ],
)
def test_the_format_of_an_answer_is_found(text: bytes, fmt: str) -> None:
    assert parse(text).output_format == fmt


@pytest.mark.parametrize(
    "text", [b"INSERT INTO t SELECT 1", b"INSERT INTO t (a) WITH 1 AS x SELECT x", b"INSERT INTO t (SELECT 1)"]
)
def test_an_insert_of_a_select_has_no_data(text: bytes) -> None:
    assert (parse(text).kind, parse(text).head) == (Kind.INSERT_SELECT, text)


@pytest.mark.parametrize("second", [b"DROP TABLE t FORMAT CSV\n1", b"INSERT INTO t FORMAT CSV\n1", b"DROP TABLE t"])
@pytest.mark.parametrize("first", [b"INSERT INTO t", b"INSERT INTO t SETTINGS a = 1", b"INSERT INTO t (SELECT 1)"])
def test_a_second_statement_before_the_data_is_refused(first: bytes, second: bytes) -> None:
    with pytest.raises(QueryRefused, match="Multi-statements"):
        parse(first + b"; " + second)


@given(st.binary(max_size=200))
def test_data_comes_through_byte_for_byte(data: bytes) -> None:
    text = b"INSERT INTO t FORMAT RowBinary\n" + data

    assert text[parse(text).data_start :] == data


@given(st.binary(max_size=100))
def test_no_bytes_break_the_reader(text: bytes) -> None:
    with contextlib.suppress(QueryRefused):
        assert parse(text).head == text[: len(parse(text).head)]
