"""A final receipt stays final through an outage, whichever instance heard of it and in whatever order journals are replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from core.journal import closed_files
from service.facts import AnyFact, DeliveryReceipt, Request
from service.failover import STORE_FOLDER, Failover, Status
from service.failover.journaling import decode
from service.stores.faults import FaultClass, StoreLate
from service.stores.memory import MemoryStore
from tests.service.failover.twins import LateStore, Link, Make, Twins, fallen_over, has_looked
from tests.service.stores import facts
from tests.support.until import until


def contradiction(of: Request) -> DeliveryReceipt:
    """A second later."""
    at = facts.receipt(of).at + timedelta(seconds=1)
    return facts.receipt(of, at=at, status="failed", raw_status="UNDELIV", error_class="handset")


class Slow(Link):
    """Writes a receipt when it is let."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.let, self.asked = asyncio.Event(), asyncio.Event()

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        if any(isinstance(fact, DeliveryReceipt) for fact in facts):
            self.asked.set()
            await self.let.wait()
        return await super().write(facts)


async def statuses(store: Failover | MemoryStore, of: Request) -> list[str]:
    state = await store.request(of.id)
    return [receipt.status for receipt in state.receipts] if state else []


async def test_a_receipt_that_comes_second_is_journaled_as_the_first_that_stands(make: Make, twins: Twins):
    request = facts.request()
    first, second = facts.receipt(request), contradiction(request)
    await twins.backup.write([request, first])  # another instance heard of it, and journaled it on its own disk
    failover = await fallen_over(make, twins)
    told = await failover.write([second])
    await failover.close()
    journaled = [
        decode(record.payload) for file in closed_files(twins.folder / STORE_FOLDER) for record in file.records()
    ]

    assert told == [False]
    assert journaled == [first]


async def test_a_receipt_that_comes_while_journals_are_replayed_does_not_overtake_the_first(make: Make, twins: Twins):
    request = facts.request()
    await twins.primary.write([request])
    await twins.backup.write([request, facts.receipt(request)])  # journaled by another instance, not replayed yet
    failover = await fallen_over(make, twins)
    twins.primary.available = True
    await failover.recover()
    await failover.write([contradiction(request)])
    state = await twins.primary.request(request.id)

    assert [receipt.status for receipt in state.receipts] == ["delivered"]


async def test_the_same_receipt_again_keeps_the_time_of_the_first(make: Make, twins: Twins):
    request = facts.request()
    first = facts.receipt(request)
    failover = await fallen_over(make, twins)
    await failover.write([request, first])
    await failover.write([msgspec.structs.replace(first, at=facts.NOW)])
    twins.primary.available = True
    await failover.recover()
    await until(lambda: twins.journaled == 0)
    state = await twins.primary.request(request.id)

    assert state.receipts == (first,)


async def test_a_receipt_that_comes_again_while_no_store_answers_is_known_for_the_first(make: Make, twins: Twins):
    failover = await make()
    request = facts.request()
    await failover.write([request, facts.receipt(request)])
    twins.primary.available = twins.backup.available = False
    later = contradiction(request)

    assert await failover.write([later]) == [False]

    state = await failover.request(request.id)

    assert state is not None
    assert state.receipts == (facts.receipt(request),)


async def test_a_receipt_that_waited_for_a_store_and_was_overtaken_by_itself_keeps_its_time(make: Make, twins: Twins):
    request = facts.request()
    first = facts.receipt(request)
    await twins.primary.write([request])  # through another instance
    failover = await make()
    twins.primary.available = twins.backup.available = False
    await failover.write([msgspec.structs.replace(first, at=first.at + timedelta(seconds=1))])
    is_new = await failover.write([first])
    twins.primary.available = True
    await until(lambda: failover.status is Status.REDIS_FATAL and twins.journaled == 0)
    state = await twins.primary.request(request.id)

    assert is_new == [True]
    assert state.receipts == (first,)


async def test_one_that_was_overtaken_by_another_does_not_take_back_what_was_told(make: Make, twins: Twins):
    request = facts.request()
    await twins.primary.write([request])  # through another instance
    failover = await make()
    twins.primary.available = twins.backup.available = False
    await failover.write([contradiction(request)])
    is_new = await failover.write([facts.receipt(request)])
    twins.primary.available = True
    await until(lambda: failover.status is Status.REDIS_FATAL and twins.journaled == 0)

    assert is_new == [False]
    assert await statuses(twins.primary, request) == ["failed"]


async def test_a_receipt_that_the_primary_store_had_before_is_told_again_as_it_has_it(make: Make, twins: Twins):
    request = facts.request()
    first = facts.receipt(request)
    failover = await fallen_over(make, twins)
    await failover.write([msgspec.structs.replace(first, at=first.at + timedelta(seconds=1))])
    twins.primary.available = True
    await twins.primary.write([request, first])  # by a call whose answer was late
    await failover.recover()
    await until(lambda: twins.journaled == 0)
    state = await twins.primary.request(request.id)

    assert state.receipts == (first,)
    assert failover.in_doubt == {request.id}


async def test_what_others_were_told_while_the_primary_store_took_its_time_stays_so(
    make: Make, twins: Twins, tmp_path: Path
):
    request = facts.request()
    primary = twins.primary
    await primary.write([request])
    await twins.backup.write([request])
    twins.primary = slow = Slow(primary)
    waiting = await make(fatal_errors=1_000)
    twins.primary = late = Link(primary)
    late.fault = FaultClass.TRANSIENT
    twins.folder = tmp_path / "of the other"
    other = await make(fatal_errors=1_000)
    await has_looked(waiting, other)
    first = asyncio.create_task(waiting.write([facts.receipt(request)]))
    await slow.asked.wait()
    late.available = False
    await other.write([contradiction(request)])
    told = await statuses(other, request)
    slow.let.set()
    is_new = await first
    kept = [await statuses(waiting, request), await statuses(primary, request)]
    late.available = True
    await until(lambda: twins.journaled == 0)

    assert told == ["failed"]
    assert is_new == [False]
    assert kept == [["failed"], ["failed"]]
    assert await statuses(primary, request) == ["failed"]
    assert waiting.in_doubt == {request.id}


async def test_so_it_does_though_a_receipt_of_before_was_kept_by_a_call_that_was_given_up(make: Make, twins: Twins):
    request = facts.request()
    twins.primary = primary = LateStore(lambda: StoreLate("the store did not answer in time", fault=FaultClass.FATAL))
    await primary.write([request])
    await twins.backup.write([request, contradiction(request)])  # others were told of it
    failover = await make(fatal_errors=1_000)
    primary.late = 1
    is_new = await failover.write([facts.receipt(request)])
    await until(lambda: twins.journaled == 0)

    assert is_new == [False]
    assert await statuses(primary, request) == ["failed"]
    assert failover.in_doubt == {request.id}


async def test_whoever_asks_before_that_is_mended_is_told_what_the_others_were_told(make: Make, twins: Twins):
    request = facts.request()
    await twins.primary.write([request, facts.receipt(request)])  # kept late, and nobody was told of it
    await twins.backup.write([request, contradiction(request)])
    failover = await fallen_over(make, twins)
    before = await statuses(failover, request)
    twins.primary.available = True
    await failover.recover()

    assert before == ["failed"]
    assert await statuses(failover, request) == ["failed"]


async def test_what_came_second_is_not_remembered_in_the_place_of_what_stands(make: Make, twins: Twins):
    request = facts.request()
    failover = await fallen_over(make, twins)
    await failover.write([request])
    await twins.backup.write([contradiction(request)])  # by another instance
    await failover.write([facts.receipt(request)])
    twins.backup.available = False
    await failover.set_redis_fatal("a test said so")

    assert await statuses(failover, request) == ["failed"]
