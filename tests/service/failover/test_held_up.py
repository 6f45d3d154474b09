"""An instance that was held up itself judges nobody: the stores are asked again, nothing is decided without them, and nothing
that has happened is lost."""

from __future__ import annotations

import pytest

from core.clock import ManualTimer
from core.errors import MirrorUnavailable, StoreUnavailable
from service.facts import Check
from service.failover import Status
from service.stores.faults import FaultClass, StoreFault, fault_of
from tests.service.failover.twins import LateStore, Make, Twins, fallen_over
from tests.service.stores import facts
from tests.service.stores.facts import order


@pytest.fixture
def primary(twins: Twins) -> LateStore:
    twins.primary = primary = LateStore(lambda: StoreFault("nobody listened", fault=FaultClass.HELD_UP))
    return primary


async def test_the_primary_store_is_asked_again_and_not_the_backup(make: Make, twins: Twins, primary: LateStore):
    failover = await make()
    request = facts.request()
    await failover.write([request])
    primary.late = 1
    verdict = await failover.check(order(request, attempt=1))

    assert (verdict.check, verdict.result) == (1, "approved")
    assert len([fact for fact in twins.kept() if isinstance(fact, Check)]) == 1
    assert twins.journaled == 0


async def test_nothing_is_decided_elsewhere_however_often_nobody_listened(make: Make, twins: Twins, primary: LateStore):
    failover = await make(fatal_errors=1)
    request = facts.request()
    await failover.write([request])
    for _ in range(5):
        primary.late = 2
        with pytest.raises(StoreUnavailable):
            await failover.check(order(request, attempt=1))

    assert failover.status is Status.HEALTHY
    assert twins.journaled == 0


async def test_a_check_that_may_be_counted_although_its_caller_was_not_told_is_told_again(
    make: Make, twins: Twins, primary: LateStore
):
    failover = await make()
    request = facts.request()
    await failover.write([request])
    await failover.check(order(request))
    told = set(failover.in_doubt)
    primary.late = 2
    with pytest.raises(StoreUnavailable):
        await failover.check(order(request, attempt=1, at=1))

    assert (told, failover.in_doubt) == (set(), {request.id})


async def test_what_became_of_a_message_that_is_out_is_kept_all_the_same(make: Make, twins: Twins, primary: LateStore):
    failover = await make()
    request = facts.request()
    outcome = facts.outcome(request)
    await failover.write([request, facts.attempt(request)])
    primary.late = 2
    told = await failover.write([outcome])
    journaled = twins.journaled

    assert told == [True]
    assert journaled > 0


async def test_an_attempt_that_was_to_follow_is_refused_and_the_outcome_before_it_kept(
    make: Make, twins: Twins, primary: LateStore
):
    failover = await make()
    request = facts.request()
    await failover.write([request, facts.attempt(request)])
    primary.late = 2
    with pytest.raises(StoreUnavailable):
        await failover.write([facts.outcome(request), facts.attempt(request, 2)])

    assert twins.journaled > 0


@pytest.mark.parametrize("other", [FaultClass.HELD_UP, FaultClass.FATAL])
async def test_a_backup_that_nobody_listened_to_leaves_no_call_without_a_store(
    make: Make, twins: Twins, other: FaultClass
):
    failover = await fallen_over(make, twins, fatal_errors=1_000)
    request = facts.request()
    await failover.write([request])
    twins.backup.available, twins.backup.fault = False, other
    try:
        result = (await failover.check(order(request, attempt=1))).result
    except MirrorUnavailable as error:
        result = fault_of(error)

    assert result == (FaultClass.HELD_UP if other is FaultClass.HELD_UP else "approved")


async def test_a_backup_that_nobody_listened_to_is_not_called_down(make: Make, twins: Twins):
    failover = await make(fatal_errors=1)
    twins.backup.available, twins.backup.fault = False, FaultClass.HELD_UP
    for _ in range(5):
        with pytest.raises(MirrorUnavailable):
            await failover.run_backup(lambda store: store.probe())

    assert failover.status is Status.HEALTHY


async def test_who_has_not_heard_what_the_others_do_decides_nothing(make: Make, twins: Twins):
    timer = ManualTimer()
    failover = await make(probe_seconds=60.0, timer=timer)
    request = facts.request()
    await failover.write([request])
    twins.backup.available, twins.backup.fault = False, FaultClass.HELD_UP
    timer.advance(seconds=1.0)  # what was heard is old by now
    with pytest.raises(MirrorUnavailable):
        await failover.check(order(request, attempt=1))

    assert [fact for fact in twins.kept() if isinstance(fact, Check)] == []
