"""What ClickHouse's HTTP interface does, seen without a client library."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import resource
import socket
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox.gateway.launch import RunningGateway

SLOW = "SELECT sum(sipHash64(number)) FROM numbers(20000000000) SETTINGS max_threads = 1"


def ask(
    gateway: RunningGateway,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    path: str = "/",
    login: bool = True,
    **arguments: Any,
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case, body."""
    known = {"user": gateway.user, "password": gateway.password} if login else {}
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    try:
        connection.request(method, f"{path}?{urlencode(known | arguments)}", body, headers or {})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def processes(gateway: RunningGateway, needle: str) -> int:
    sql = f"SELECT count() FROM system.processes WHERE query LIKE '%{needle}%' AND query NOT LIKE '%system.processes%'"
    return int(ask(gateway, sql.encode())[2])


def wait_for_processes(gateway: RunningGateway, needle: str, *, count: int) -> None:
    deadline = time.monotonic() + 20
    while processes(gateway, needle) != count:
        assert time.monotonic() < deadline, f"never saw {count} running"


def test_the_default_format_is_tab_separated(gateway: RunningGateway) -> None:
    assert ask(gateway, b"SELECT 1, 'a'")[2] == b"1\ta\n"


@pytest.mark.parametrize("where", ["default_format", "x-clickhouse-format"])
def test_the_default_format_can_be_chosen(gateway: RunningGateway, where: str) -> None:
    if where == "default_format":
        status, headers, body = ask(gateway, b"SELECT 1 AS a", default_format="JSONEachRow")
    else:
        status, headers, body = ask(gateway, b"SELECT 1 AS a", headers={where: "JSONEachRow"})

    assert (status, headers["x-clickhouse-format"], body) == (200, "JSONEachRow", b'{"a":1}\n')


def test_an_answer_names_its_format_its_query_and_its_counters(gateway: RunningGateway) -> None:
    _, headers, _ = ask(gateway, b"SELECT number FROM numbers(5) FORMAT JSON", query_id="mine", wait_end_of_query=1)

    assert (headers["x-clickhouse-format"], headers["x-clickhouse-query-id"]) == ("JSON", "mine")
    assert json.loads(headers["x-clickhouse-summary"])["read_rows"] == "5"


def test_a_query_in_the_address_is_continued_by_the_body(gateway: RunningGateway) -> None:
    assert ask(gateway, b"number FROM numbers(2)", query="SELECT")[2] == b"0\n1\n"


def test_an_address_may_be_as_long_as_clickhouse_allows(gateway: RunningGateway) -> None:
    text = "x" * 900_000

    assert ask(gateway, query="SELECT length({t:String})", param_t=text)[2] == b"900000\n"


def test_a_get_request_answers(gateway: RunningGateway) -> None:
    assert ask(gateway, method="GET", query="SELECT 1")[2] == b"1\n"


def test_ping_needs_no_password(gateway: RunningGateway) -> None:
    assert ask(gateway, method="GET", path="/ping", login=False)[::2] == (200, b"Ok.\n")


def test_an_unknown_path_is_not_found(gateway: RunningGateway) -> None:
    assert ask(gateway, method="GET", path="/nothing")[0] == 404


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_every_way_to_log_in_works(gateway: RunningGateway) -> None:
    user, password = gateway.user, gateway.password
    ways: list[dict[str, Any]] = [
        {"user": user, "password": password},
        {"headers": basic(user, password)},
        {"headers": {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}},
    ]

    assert [ask(gateway, b"SELECT 1", login=False, **way)[0] for way in ways] == [200, 200, 200]


def test_every_wrong_login_is_error_516(gateway: RunningGateway) -> None:
    password = gateway.password
    wrong: list[dict[str, Any]] = [
        {},
        {"user": "default", "password": "wrong"},
        {"user": "someone", "password": password},
        {"headers": basic("default", "wrong")},
        {"headers": basic("default", "")},
        {"headers": {"Authorization": "Basic ???"}},
        {"headers": {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "wrong"}},
    ]
    answers = [ask(gateway, b"SELECT 1", login=False, **way) for way in wrong]

    assert {(status, headers["x-clickhouse-exception-code"]) for status, headers, _ in answers} == {(403, "516")}


@pytest.mark.parametrize(
    ("statement", "status", "code", "name"),
    [
        ("SELECT * FROM no_such_table", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT no_such_column", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT FROM WHERE", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT * FROM no_such_db.t", 404, 81, "UNKNOWN_DATABASE"),
        ("SELECT 1 FORMAT NoSuchFormat", 404, 73, "UNKNOWN_FORMAT"),
        (
            "SELECT sum(sipHash64(number)) FROM numbers(20000000000) SETTINGS max_execution_time = 0.3",
            408,
            159,
            "TIMEOUT_EXCEEDED",
        ),
        ("SELECT 1 INTO OUTFILE 'x'", 500, 358, "INTO_OUTFILE_NOT_ALLOWED"),
        ("INSERT INTO t FROM INFILE 'x'", 501, 48, "NOT_IMPLEMENTED"),
        ("INSERT INTO t SELECT * FROM input('n UInt8') FORMAT CSV 1", 501, 48, "NOT_IMPLEMENTED"),
    ],
)
def test_errors_carry_the_code_the_name_and_the_status(
    gateway: RunningGateway, statement: str, status: int, code: int, name: str
) -> None:
    got_status, headers, body = ask(gateway, statement.encode(), query="" if statement else " ")

    assert (got_status, headers["x-clickhouse-exception-code"]) == (status, str(code))
    assert body.decode().startswith(f"Code: {code}. DB::Exception: ")
    assert f"({name}) (version " in body.decode()


@pytest.mark.parametrize(
    ("arguments", "status", "name"),
    [
        ({"no_such_setting": 1}, 404, b"UNKNOWN_SETTING"),
        ({"database": "no_such_db"}, 404, b"UNKNOWN_DATABASE"),
        ({"compress": 1}, 501, b"NOT_IMPLEMENTED"),
        ({"role": "boss"}, 501, b"NOT_IMPLEMENTED"),
        ({"session_id": "s", "session_timeout": "soon"}, 500, b"INVALID_SESSION_TIMEOUT"),
    ],
)
def test_an_argument_that_cannot_work_is_an_error(
    gateway: RunningGateway, arguments: dict[str, Any], status: int, name: bytes
) -> None:
    got_status, _, body = ask(gateway, b"SELECT 1", **arguments)

    assert (got_status, name in body) == (status, True)


def test_answers_are_compressed_only_when_asked(gateway: RunningGateway) -> None:
    sql = b"SELECT number FROM numbers(10000)"
    plain = ask(gateway, sql, headers={"Accept-Encoding": "gzip"})
    packed = ask(gateway, sql, headers={"Accept-Encoding": "gzip"}, enable_http_compression=1)

    assert ("content-encoding" in plain[1], packed[1]["content-encoding"]) == (False, "gzip")
    assert gzip.decompress(packed[2]) == plain[2]


def test_a_body_that_does_not_decompress_is_an_error(gateway: RunningGateway) -> None:
    status, _, body = ask(
        gateway,
        b"no zip",
        headers={"Content-Encoding": "gzip"},
        query="INSERT INTO FUNCTION null('n UInt8') FORMAT CSV",
    )

    assert (status, b"CANNOT_DECOMPRESS" in body) == (500, True)


def test_statements_may_hold_bytes_that_are_not_text(gateway: RunningGateway) -> None:
    assert ask(gateway, b"SELECT hex('\xff\x00')")[2] == b"FF00\n"


def test_a_slow_query_does_not_hold_up_short_ones(gateway: RunningGateway) -> None:
    slow = threading.Thread(target=ask, args=(gateway, (SLOW + ", max_execution_time = 3").encode()))
    slow.start()
    wait_for_processes(gateway, "20000000000", count=1)
    answers = [ask(gateway, b"SELECT 1")[0] for _ in range(20)] + [ask(gateway, method="GET", path="/ping")[0]]
    still_running = processes(gateway, "20000000000")
    slow.join()

    assert (set(answers), still_running) == ({200}, 1)


@pytest.mark.parametrize("wait", [0, 1])
def test_a_query_ends_when_its_client_hangs_up(gateway: RunningGateway, wait: int) -> None:
    arguments = urlencode({"user": gateway.user, "password": gateway.password, "wait_end_of_query": wait})
    with socket.create_connection((gateway.host, gateway.port)) as connection:
        head = f"POST /?{arguments} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SLOW)}\r\n\r\n"
        connection.sendall((head + SLOW).encode())
        wait_for_processes(gateway, "20000000000", count=1)

    wait_for_processes(gateway, "20000000000", count=0)


def resident_mb(gateway: RunningGateway) -> int:
    pages = int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_long_stream_does_not_fill_the_memory(gateway: RunningGateway) -> None:
    before = resident_mb(gateway)
    arguments = urlencode({"user": gateway.user, "password": gateway.password})
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    connection.request("POST", f"/?{arguments}", b"SELECT number FROM numbers(100000000) FORMAT RowBinary")
    response = connection.getresponse()
    read = 0
    while piece := response.read(1 << 20):
        read += len(piece)
    connection.close()

    assert read == 800_000_000
    assert resident_mb(gateway) - before < 200


def test_a_query_in_the_address_may_hold_bytes_that_are_not_text(gateway: RunningGateway) -> None:
    assert ask(gateway, query=b"SELECT hex('\xff')")[2] == b"FF\n"


def test_a_stream_ends_when_its_client_hangs_up(gateway: RunningGateway) -> None:
    sql = "SELECT number, 'endless' FROM numbers(100000000000)"
    arguments = urlencode({"user": gateway.user, "password": gateway.password})
    with socket.create_connection((gateway.host, gateway.port)) as connection:
        connection.sendall(
            f"POST /?{arguments} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sql)}\r\n\r\n{sql}".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")

    wait_for_processes(gateway, "endless", count=0)
