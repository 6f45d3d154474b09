"""While journals are replayed the backup is asked for what may lie there, and calls of new requests ask one store."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.clock import ManualClock, utc_now
from core.ids import uuid7_from
from service.facts import RequestState
from service.failover import Failover, Status
from service.stores.memory import MemoryStore
from tests.service.failover.twins import Make, Twins, fallen_over
from tests.service.stores import facts

SINCE_THE_WORD = timedelta(minutes=10)


class Counting(MemoryStore):
    """A backup that counts how often it was asked for a request."""

    def __init__(self) -> None:
        super().__init__(as_mirror=True)
        self.asked = 0

    async def request(self, request_id):
        self.asked += 1
        return await super().request(request_id)


def at_the_word() -> datetime:
    return utc_now() - SINCE_THE_WORD


async def recovering(make: Make, twins: Twins) -> tuple[Failover, Counting]:
    """A failover that was led back long before the requests of the test, and still waits for other instances."""
    twins.backup = backup = Counting()
    clock = ManualClock(at_the_word())
    failover = await fallen_over(make, twins, probe_seconds=60.0, clock=clock)
    twins.primary.available = True
    await failover.recover()
    clock.advance(seconds=SINCE_THE_WORD.total_seconds())

    assert failover.status is Status.RECOVERING
    return failover, backup


async def test_calls_of_a_request_begun_since_ask_one_store(make: Make, twins: Twins):
    failover, backup = await recovering(make, twins)
    request = facts.request()
    await failover.write([request, facts.attempt(request)])
    await failover.request(request.id)
    await failover.check(facts.order(request))
    await failover.write([facts.receipt(request)])

    assert backup.asked == 0


async def test_checks_of_a_request_begun_before_are_counted_with_those_in_the_backup(make: Make, twins: Twins):
    failover, backup = await recovering(make, twins)
    request = facts.request(id=uuid7_from(at_the_word() - timedelta(seconds=1), "before"))
    await backup.write([request, facts.check(request, 1), facts.check(request, 2)])
    verdict = await failover.check(facts.order(request))

    assert verdict.check == 3


async def test_a_request_that_the_primary_store_lacks_is_looked_for_whatever_its_time(make: Make, twins: Twins):
    failover, backup = await recovering(make, twins)
    request = facts.request()
    await backup.write([request])

    assert await failover.request(request.id) == RequestState(request=request)


async def test_what_this_instance_journaled_since_is_merged(make: Make, twins: Twins):
    failover, _ = await recovering(make, twins)
    twins.primary.available = False
    request = facts.request()
    await failover.write([request])
    for number in (1, 2):
        assert (await failover.check(facts.order(request))).check == number
    twins.primary.available = True

    assert (await failover.check(facts.order(request))).check == 3
