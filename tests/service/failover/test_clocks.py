"""Instances whose clocks are apart, or step, agree on the store that serves and find the way back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from core.clock import ManualClock, ManualTimer
from core.ids import RequestIds
from core.settings.servers import Failover as FailoverSettings
from service.failover import Status
from service.failover.note import Note
from service.failover.state import State
from tests.service.failover.twins import Make, Twins, fallen_over
from tests.service.stores import facts
from tests.service.stores.facts import NOW
from tests.support.until import until

HOUR = timedelta(hours=1)
APART = [(NOW, NOW + HOUR), (NOW + HOUR, NOW)]


def state_at(clock: ManualClock, folder: Path) -> State:
    return State(FailoverSettings(), folder=folder, clock=clock, timer=ManualTimer(), on_notice=lambda _notice: None)


@pytest.fixture(params=APART, ids=["the first is slow", "the first is fast"])
def states(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[State, State]:
    one, other = (state_at(ManualClock(at), tmp_path / str(number)) for number, at in enumerate(request.param))
    return one, other


def test_each_word_is_followed_whoever_gives_it_and_however_wrong_his_clock_is(states: tuple[State, State]):
    one, other = states
    for giver, hearer in ((one, other), (other, one), (one, other)):
        giver.primary_fatal("it does not answer")
        hearer.follow(giver.note(), is_stale=False)

        assert hearer.status is Status.MYSQL_FATAL

        hearer.recover("an operator said so")
        giver.follow(hearer.note(), is_stale=False)

        assert giver.status is Status.RECOVERING

        giver.recovered()
        hearer.recovered()


def test_of_two_words_given_at_once_the_one_that_loses_nothing_counts_on_both_sides(states: tuple[State, State]):
    one, other = states
    one.primary_fatal("it does not answer")
    other.follow(one.note(), is_stale=False)
    one.recover("an operator said so")
    other.recover("another operator said so")
    other.primary_fatal("it does not answer again")
    last, before = other.note(), one.note()
    one.follow(last, is_stale=False)
    other.follow(before, is_stale=False)

    assert {one.status, other.status} == {Status.MYSQL_FATAL}


def test_a_process_that_starts_again_counts_on_from_the_word_it_knew(states: tuple[State, State], tmp_path: Path):
    one, other = states
    one.primary_fatal("it does not answer")
    other.follow(one.note(), is_stale=False)
    again = state_at(ManualClock(NOW - HOUR), tmp_path)
    again.resume(other.note())
    again.recover("an operator said so")
    one.follow(again.note(), is_stale=False)

    assert one.status is Status.RECOVERING


def test_a_version_that_knows_no_epochs_is_understood_by_its_times(states: tuple[State, State]):
    one, other = states
    one.primary_fatal("it does not answer")
    other.follow(old(one.note()), is_stale=False)

    assert other.status is Status.MYSQL_FATAL

    other.recover("an operator said so")

    assert other.note().since > one.note().since


def old(note: Note) -> Note:
    return msgspec.structs.replace(note, epoch=0)


async def test_a_clock_that_steps_back_holds_up_no_recovery(make: Make, twins: Twins):
    clock = ManualClock(NOW)
    failover = await fallen_over(make, twins, clock=clock)
    request = facts.request()
    await failover.write([request])
    twins.primary.available = True
    await failover.recover()
    clock.advance(seconds=-3600)
    await until(lambda: failover.status is Status.HEALTHY)

    assert twins.kept() == [request]


@pytest.mark.parametrize(("first_at", "other_at"), APART)
async def test_instances_an_hour_apart_lead_each_other_over_and_back(
    make: Make, twins: Twins, tmp_path: Path, first_at, other_at
):
    one = await make(clock=ManualClock(first_at))
    twins.folder = tmp_path / "of the other"
    other = await make(clock=ManualClock(other_at))
    await one.set_mysql_fatal("the network between us")
    await until(lambda: other.status is Status.MYSQL_FATAL)
    await other.recover()
    await until(lambda: {one.status, other.status} == {Status.HEALTHY})

    assert [new for _, new in twins.changes].count(Status.MYSQL_FATAL) == 2


async def test_who_starts_after_a_recovery_takes_up_nothing(make: Make, twins: Twins, tmp_path: Path):
    one = await make(clock=ManualClock(NOW))
    await one.set_mysql_fatal("the network between us")
    await one.recover()
    await until(lambda: one.status is Status.HEALTHY)
    await until(lambda: b"healthy" in twins.backup._note)
    twins.folder, twins.notices = tmp_path / "of the other", []
    other = await make(clock=ManualClock(NOW - HOUR))

    assert other.status is Status.HEALTHY
    assert twins.changes == []


async def test_what_an_instance_began_whose_clock_is_ahead_is_looked_for_in_both_stores(make: Make, twins: Twins):
    failover = await make(clock=ManualClock(NOW), probe_seconds=5)
    request = facts.request(id=RequestIds(ManualClock(NOW + HOUR))())
    approval = facts.approval(request)
    await twins.primary.write([request])
    await failover.set_mysql_fatal("a test said so")
    await twins.backup.write([request, approval])
    await failover.recover()
    state = await failover.request(request.id)

    assert failover.status is Status.RECOVERING
    assert state is not None
    assert state.approval == approval
