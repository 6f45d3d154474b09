"""A final receipt stays final through an outage, whichever instance heard of it and in whatever order journals are replayed."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from core.journal import closed_files
from service.facts import DeliveryReceipt, Request
from service.failover import STORE_FOLDER, Status
from service.failover.journaling import decode
from tests.service.failover.twins import Make, Twins, fallen_over
from tests.service.stores import facts
from tests.support.until import until


def contradiction(of: Request) -> DeliveryReceipt:
    return facts.receipt(of, status="failed", raw_status="UNDELIV", error_class="handset")


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


async def test_a_receipt_that_was_overtaken_while_it_waited_for_a_store_is_kept_as_the_first(make: Make, twins: Twins):
    request = facts.request()
    first, second = facts.receipt(request), contradiction(request)
    await twins.primary.write([request])  # through another instance
    failover = await make()
    twins.primary.available = twins.backup.available = False
    await failover.write([msgspec.structs.replace(second, at=first.at + timedelta(seconds=1))])
    told = await failover.write([first])
    twins.primary.available = True
    await until(lambda: failover.status is Status.REDIS_FATAL and twins.journaled == 0)
    state = await twins.primary.request(request.id)

    assert told == [True]
    assert state.receipts == (first,)


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
