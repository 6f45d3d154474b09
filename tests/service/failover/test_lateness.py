"""A primary store that is only slow while the backup is silent: nobody is served without a store but by the status."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from service.facts import AnyFact, Check, Request
from service.failover import Failover, Status
from service.stores.faults import FaultClass, StoreLate
from tests.service.failover.twins import LateStore, Make, Twins
from tests.service.stores import facts
from tests.service.stores.facts import order
from tests.support.until import until


class SlowStore(LateStore):
    """A late one that from a certain write on says nothing any more."""

    def __init__(self) -> None:
        super().__init__(lambda: StoreLate("the store did not answer in time", fault=FaultClass.FATAL))
        self.calls, self.hangs_from_call = 0, 1_000
        self.hangs = False

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        self.calls += 1
        if self.calls >= self.hangs_from_call:
            self.hangs = True
            await asyncio.Event().wait()
        return await super().write(facts)


@pytest.fixture
def primary(twins: Twins) -> SlowStore:
    twins.primary = primary = SlowStore()
    twins.backup.available = False  # whether or not that is known yet
    return primary


@pytest.fixture(params=[Status.HEALTHY, Status.REDIS_FATAL])
def status(request: pytest.FixtureRequest) -> Status:
    return request.param


async def stands(make: Make, status: Status) -> Failover:
    """A failover that knows, or does not know yet, that its backup is silent."""
    failover = await make(fatal_errors=1000)
    if status is Status.REDIS_FATAL:
        await failover.set_redis_fatal("a test said so")
    assert failover.status is status
    return failover


async def test_a_write_that_was_late_once_is_asked_for_again(
    make: Make, twins: Twins, primary: SlowStore, status: Status
):
    failover = await stands(make, status)
    primary.late = 1
    request = facts.request()
    await failover.write([request])

    assert twins.kept() == [request]
    assert twins.journaled == 0
    assert failover.status is status


async def test_a_check_that_was_late_once_is_counted_once_and_its_caller_told(
    make: Make, twins: Twins, primary: SlowStore, status: Status
):
    failover = await stands(make, status)
    request = facts.request()
    await failover.write([request])
    primary.late = 1
    verdict = await failover.check(order(request, attempt=1))

    assert (verdict.check, verdict.result) == (1, "approved")
    assert len([fact for fact in twins.kept() if isinstance(fact, Check)]) == 1
    assert twins.journaled == 0


async def test_who_meets_nothing_but_lateness_is_told_to_come_back(
    make: Make, twins: Twins, primary: SlowStore, status: Status
):
    failover = await stands(make, status)
    request = facts.request()
    await failover.write([request])
    primary.late = 10
    with pytest.raises(StoreLate):
        await failover.check(order(request, attempt=1))

    assert twins.journaled == 0
    assert failover.status is status


async def hung(failover: Failover, primary: SlowStore, request: Request) -> asyncio.Task[list[bool]]:
    """A write that was late once, and hangs since it was asked for again."""
    primary.late, primary.hangs_from_call = 1, 2
    writing = asyncio.ensure_future(failover.write([request]))
    await until(lambda: primary.hangs)
    return writing


async def test_who_asks_again_does_not_wait_for_a_store_that_is_called_down(
    make: Make, twins: Twins, primary: SlowStore
):
    failover = await stands(make, Status.REDIS_FATAL)
    writing = await hung(failover, primary, facts.request())
    await failover.set_mysql_fatal("a test said so")

    assert await writing == [True]
    assert twins.journaled > 0


async def test_a_backup_that_answers_again_serves_once_the_primary_store_is_called_down(
    make: Make, twins: Twins, primary: SlowStore
):
    failover = await stands(make, Status.HEALTHY)
    request = facts.request()
    writing = await hung(failover, primary, request)
    twins.backup.available = True
    await failover.set_mysql_fatal("a test said so")

    assert await writing == [True]
    assert twins.backup.facts() == [request]


async def test_with_both_stores_gone_the_first_call_decides_it_and_is_served(make: Make, twins: Twins):
    failover = await make()
    twins.primary.available = twins.backup.available = False

    assert await failover.write([facts.request()]) == [True]
    assert failover.status in (Status.MYSQL_FATAL, Status.BOTH_FATAL)
    assert twins.journaled > 0


async def test_a_saturated_store_is_called_down_by_one_call_too(make: Make, twins: Twins):
    failover = await make()
    twins.primary.available = twins.backup.available = False
    twins.primary.fault = FaultClass.SATURATED

    assert await failover.write([facts.request()]) == [True]
    assert twins.journaled > 0
