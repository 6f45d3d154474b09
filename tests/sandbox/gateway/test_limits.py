"""More than the gateway takes on is refused at once with ClickHouse's error, and costs the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.gateway.engine import Engine
from sandbox.gateway.server import Gateway, Limits
from sandbox.gateway.spool import SpoolLimits

PASSWORD = "local"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    limits = SpoolLimits(one_bytes=100_000)
    opened = Engine(tmp_path_factory.mktemp("engine"), idle_handles=4, spool_limits=limits)
    yield opened
    opened.close()


async def call(gateway: Gateway, body: bytes, arguments: str = "") -> tuple[int, bytes]:
    """One request without a network."""
    sent: list[Any] = []
    arrived = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        message = next(arrived, None)
        return message or await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    query_string = f"password={PASSWORD}&{arguments}".encode()
    scope = {"type": "http", "path": "/", "method": "POST", "query_string": query_string, "headers": []}
    await gateway(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def test_more_requests_than_may_wait_are_refused_with_error_202(engine: Engine) -> None:
    gateway = Gateway(engine, PASSWORD, limits=Limits(active=1, waiting=2))
    answers = await asyncio.gather(*(call(gateway, b"SELECT sleep(0.2)") for _ in range(6)))
    afterwards = await call(gateway, b"SELECT 1")
    gateway.close()

    assert sorted(status for status, _ in answers) == [200] * 3 + [503] * 3
    assert all(b"Code: 202." in body for status, body in answers if status == 503)
    assert afterwards == (200, b"1\n")


async def test_a_body_larger_than_the_limit_is_refused(engine: Engine) -> None:
    gateway = Gateway(engine, PASSWORD, limits=Limits(body_bytes=1000))
    status, body = await call(gateway, b"SELECT '" + b"x" * 1000 + b"'")
    gateway.close()

    assert (status, b"QUERY_IS_TOO_LARGE" in body) == (413, True)


async def test_bodies_that_together_are_too_large_are_refused_and_forgotten(engine: Engine) -> None:
    gateway = Gateway(engine, PASSWORD, limits=Limits(bodies_bytes=1000))
    too_much = await call(gateway, b"SELECT '" + b"x" * 1000 + b"'")
    afterwards = await call(gateway, b"SELECT 1")
    gateway.close()

    assert (too_much[0], afterwards) == (503, (200, b"1\n"))


async def test_data_of_an_insert_larger_than_the_limit_is_refused_and_smaller_is_taken(engine: Engine) -> None:
    gateway = Gateway(engine, PASSWORD)
    statement = b"INSERT INTO FUNCTION null('n UInt64') FORMAT CSV\n"
    too_much = await call(gateway, statement + b"1234567890\n" * 10_000)
    afterwards = await call(gateway, statement + b"1234567890\n" * 9_000)
    gateway.close()

    assert (too_much[0], b"QUERY_IS_TOO_LARGE" in too_much[1], afterwards) == (413, True, (200, b""))


async def test_a_client_that_stops_reading_is_given_up(engine: Engine) -> None:
    gateway = Gateway(engine, PASSWORD, limits=Limits(active=1, waiting=0, stalled_reader_seconds=0.05))
    arrived = iter([{"type": "http.request", "body": b"SELECT number FROM numbers(1000000000)", "more_body": False}])

    async def receive() -> Any:
        message = next(arrived, None)
        return message or await asyncio.Future()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Future()

    query_string = f"password={PASSWORD}".encode()
    await gateway(
        {"type": "http", "path": "/", "method": "POST", "query_string": query_string, "headers": []}, receive, send
    )
    afterwards = await call(gateway, b"SELECT 1")
    gateway.close()

    assert afterwards == (200, b"1\n")


async def test_handles_are_not_kept_without_bound(engine: Engine) -> None:
    gateway = Gateway(engine, PASSWORD)
    answers = [await call(gateway, b"SELECT getSetting('max_threads')", f"max_threads={n}") for n in range(1, 20)]
    gateway.close()

    assert [int(body) for _, body in answers] == list(range(1, 20))
    assert engine.idle_handles <= 4
