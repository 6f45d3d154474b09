"""Sealed numbers become ciphertext in the store, and none is dropped on the way."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from core.clock import ManualClock
from core.ids import RequestIds
from core.numbers import Seal
from core.queue import ENCRYPTOR_CONSUMER as CONSUMER
from core.queue import NUMBERS, NUMBERS_SUBJECT
from core.queue.memory import MemoryQueue
from core.settings.servers import Encryption
from service.encryptor import EncryptionClient, Encryptor
from service.facts import EncryptedNumber
from service.sealed import SealedNumber, encode_numbers
from service.stores.faults import FactRefused, FaultClass, StoreFault
from service.stores.memory import MemoryStore
from tests.support.providers import a_number
from tests.support.until import until

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKEN = "a token of the tests"
_ids = RequestIds(lambda: NOW)


def reverse(items: list[dict[str, str]]) -> web.Response:
    """A service that "encrypts" by turning around, and answers out of order."""
    rows = [
        {"id": row["id"], "ciphertext": base64.b64encode(base64.b64decode(row["plaintext"])[::-1]).decode()}
        for row in items
    ]
    return web.Response(body=msgspec.json.encode({"key_id": "k1", "items": rows[::-1]}))


@dataclass
class Bench:
    """The worker, and all it works with."""

    worker: Encryptor
    queue: MemoryQueue
    store: MemoryStore
    clock: ManualClock
    seal: Seal
    answer: Callable[[list[dict[str, str]]], web.Response] = reverse
    calls: list[int] = field(default_factory=list)

    async def put(self, numbers: dict[UUID, str], *, seal: Seal | None = None) -> None:
        rows = [
            SealedNumber(request_id=name, at=NOW, sealed=(seal or self.seal).close(number, request_id=str(name)))
            for name, number in numbers.items()
        ]
        await self.queue.publish(NUMBERS_SUBJECT, encode_numbers(rows), message_id=str(_ids()))

    async def pending(self) -> int:
        return (await self.queue.state(NUMBERS, CONSUMER)).pending

    @property
    def stored(self) -> dict[UUID, bytes]:
        return {row.request_id: row.ciphertext for row in self.store.facts() if isinstance(row, EncryptedNumber)}


@asynccontextmanager
async def open_bench(**limits: Any) -> AsyncIterator[Bench]:
    benches: list[Bench] = []

    async def encrypt(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        items = msgspec.json.decode(await request.read())["items"]
        benches[0].calls.append(len(items))
        return benches[0].answer(items)

    app = web.Application()
    app.router.add_post("/v1/encrypt", encrypt)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        clock, seal, store = ManualClock(NOW), Seal("a seal of the tests"), MemoryStore()
        queue = MemoryQueue(clock)
        settings = Encryption(url=str(server.make_url("/")), token=SecretStr(TOKEN), **limits)
        client = EncryptionClient(session, settings)
        worker = Encryptor(queue=queue, store=store, client=client, seal=seal, clock=clock)
        benches.append(Bench(worker, queue, store, clock, seal))
        yield benches[0]


def numbers(count: int) -> dict[UUID, str]:
    return {_ids(): a_number() for _ in range(count)}


async def test_numbers_are_stored_as_ciphertext_and_acknowledged():
    async with open_bench(batch_max=4) as bench:
        given = numbers(10)
        await bench.put(given)
        count = await bench.worker.turn(wait_seconds=0.01)

        assert count == 10
        assert bench.stored == {name: number.encode()[::-1] for name, number in given.items()}
        assert bench.calls == [4, 4, 2]
        assert await bench.pending() == 0


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=503),
        lambda _: web.Response(status=401),
        lambda _: web.Response(body=b"garbage"),
        lambda _: web.Response(body=b"\xff"),
        lambda _: web.Response(body=b'{"key_id": "k1"}'),
    ],
    ids=["down", "token refused", "garbage", "no text", "half an answer"],
)
async def test_while_the_service_does_not_do_it_numbers_wait_on_the_stream(answer):
    async with open_bench() as bench:
        given = numbers(3)
        await bench.put(given)
        bench.answer = answer
        assert await bench.worker.turn(wait_seconds=0.01) == 0
        assert await bench.pending() == 1
        bench.answer = reverse
        bench.clock.advance(seconds=60)
        await bench.worker.turn(wait_seconds=0.01)

        assert set(bench.stored) == set(given)
        assert await bench.pending() == 0


async def test_an_item_that_is_refused_costs_no_other_and_waits():
    async with open_bench() as bench:
        good, bad = numbers(2), numbers(1)
        await bench.put(good | bad)

        def refuse(items):
            wanted = [row for row in items if UUID(row["id"]) in good]
            refused = [{"id": str(name), "error": "no"} for name in bad]
            rows = msgspec.json.decode(reverse(wanted).body)["items"] + refused
            return web.Response(body=msgspec.json.encode({"key_id": "k1", "items": rows}))

        bench.answer = refuse
        await bench.worker.turn(wait_seconds=0.01)

        assert set(bench.stored) == set(good)
        assert await bench.pending() == 1


async def test_a_number_sealed_with_another_key_waits_until_the_key_is_put_right():
    async with open_bench() as bench:
        await bench.put(numbers(1), seal=Seal("another seal"))
        given = numbers(1)
        await bench.put(given)
        await bench.worker.turn(wait_seconds=0.01)

        assert set(bench.stored) == set(given)
        assert await bench.pending() == 1


async def test_a_line_that_cannot_be_read_costs_no_other():
    async with open_bench() as bench:
        await bench.queue.publish(NUMBERS_SUBJECT, b"no json\n", message_id="1")
        given = numbers(1)
        await bench.put(given)
        await bench.worker.turn(wait_seconds=0.01)

        assert set(bench.stored) == set(given)


async def test_a_store_that_is_down_costs_no_number():
    async with open_bench() as bench:
        given = numbers(2)
        await bench.put(given)
        bench.store.available = False
        await bench.worker.turn(wait_seconds=0.01)
        bench.store.available = True
        bench.clock.advance(seconds=60)
        await bench.worker.turn(wait_seconds=0.01)

        assert set(bench.stored) == set(given)


async def test_what_comes_again_is_stored_once():
    async with open_bench() as bench:
        given = numbers(1)
        for _ in range(2):
            await bench.put(given)
        await bench.worker.turn(wait_seconds=0.01)

        assert len(bench.stored) == 1
        assert await bench.pending() == 0


async def test_an_answer_that_holds_the_plain_number_is_not_stored():
    async with open_bench() as bench:
        given = numbers(2)
        await bench.put(given)
        bench.answer = lambda rows: web.Response(
            body=msgspec.json.encode(
                {"key_id": "k1", "items": [{"id": row["id"], "ciphertext": row["plaintext"]} for row in rows]}
            )
        )
        count = await bench.worker.turn(wait_seconds=0.01)

        assert count == 0
        assert bench.stored == {}
        assert await bench.pending() == 1


async def test_what_the_store_refuses_costs_no_other_message():
    class Picky(MemoryStore):
        async def write(self, rows):
            if any(isinstance(row, EncryptedNumber) and row.request_id in bad for row in rows):
                raise FactRefused("a value is too long")
            return await super().write(rows)

    async with open_bench() as bench:
        good, bad = numbers(2), numbers(1)
        bench.worker = Encryptor(
            queue=bench.queue,
            store=Picky(),
            client=bench.worker._client,
            seal=bench.seal,
            clock=bench.clock,
        )
        for name, number in [*good.items(), *bad.items()]:
            await bench.put({name: number})
        count = await bench.worker.turn(wait_seconds=0.01)

        assert count == 2
        assert await bench.pending() == 1


async def test_a_backlog_is_stored_in_parts_and_nothing_of_it_acknowledged_before_the_last():
    class Tired(MemoryStore):
        sizes: ClassVar[list[int]] = []

        async def write(self, rows):
            self.sizes.append(len(rows))
            if len(self.sizes) == 2:
                raise StoreFault("down", fault=FaultClass.FATAL)
            return await super().write(rows)

    async with open_bench(batch_max=1_000) as bench:
        bench.store = store = Tired()
        bench.worker = Encryptor(
            queue=bench.queue, store=store, client=bench.worker._client, seal=bench.seal, clock=bench.clock
        )
        given = [numbers(300) for _ in range(3)]
        for batch in given:
            await bench.put(batch)
        assert await bench.worker.turn(wait_seconds=0.01) == 0
        assert await bench.pending() == 3
        bench.clock.advance(seconds=60)
        await bench.worker.turn(wait_seconds=0.01)

        assert store.sizes == [500, 400, 500, 400]
        assert set(bench.stored) == set().union(*given)
        assert await bench.pending() == 0


async def test_while_the_service_is_down_the_backlog_is_not_taken_and_given_back_without_a_pause():
    async with open_bench() as bench:
        bench.answer = lambda _: web.Response(status=503)
        await bench.put(numbers(1))
        run = asyncio.create_task(bench.worker.run())
        await until(lambda: len(bench.calls) == 1)
        for _ in range(20):
            await bench.put(numbers(1))
        bench.worker.stop()
        await run

        assert len(bench.calls) == 1
