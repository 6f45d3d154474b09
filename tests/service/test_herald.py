"""A change of status is told to people once for the whole fleet, and to the warehouse by each instance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from core.alerts import Alert
from core.events import StatusChange, decode_lines, encode_lines
from service.failover import Status
from service.failover.notices import Notice
from service.herald import WORDS, Herald, status_event
from service.stores.memory import MemoryStore
from tests.service.stores.facts import NOW


class Fleet:
    """Instances that share a store, and everything they said."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.alerts: list[Alert] = []
        self.events: list[StatusChange] = []
        self.instances = [uuid4().hex, uuid4().hex]
        self.heralds = [Herald(self), Herald(self)]

    def tell(self, alert: Alert) -> None:
        self.alerts.append(alert)

    async def hear(self, of: int, old: Status, new: Status, *, after_seconds: float = 0.0, **more) -> None:
        at = NOW + timedelta(seconds=after_seconds)
        given = {"kind": "status", "component": "store", "reason": "no answer", "since": at, "word": NOW} | more
        self.heralds[of].hear(Notice(at=at, old=old, new=new, instance=self.instances[of], **given))
        await self.heralds[of]._notices.join()

    async def keep(self, events) -> None:
        self.events += events


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    made = Fleet()
    for herald in made.heralds:
        herald.start(claim=made.store.claim, tell=made.keep)
    yield made
    for herald in made.heralds:
        await herald.stop()


async def test_two_instances_that_find_the_same_store_down_say_it_once(fleet: Fleet):
    for instance in (0, 1):
        await fleet.hear(instance, Status.HEALTHY, Status.MYSQL_FATAL, after_seconds=29 * instance)

    assert [(row.key, row.event, row.severity) for row in fleet.alerts] == [("store", "opened", "critical")]
    assert {event.instance for event in fleet.events} == set(fleet.instances)


async def test_the_same_change_again_is_said_again_by_whoever_said_it_first(fleet: Fleet):
    for second in (0, 20, 40, 60):
        for instance in (0, 1):
            await fleet.hear(instance, Status.HEALTHY, Status.REDIS_FATAL, after_seconds=second + instance)

    assert len(fleet.alerts) == 4
    assert {dict(row.facts)["instance"] for row in fleet.alerts} == {fleet.instances[0]}


async def test_another_outage_soon_after_is_said_by_whoever_notices_it(fleet: Fleet):
    await fleet.hear(0, Status.HEALTHY, Status.MYSQL_FATAL, order=3)
    for instance in (1, 0):
        await fleet.hear(instance, Status.HEALTHY, Status.MYSQL_FATAL, after_seconds=20, order=7)

    assert [dict(row.facts)["instance"] for row in fleet.alerts] == fleet.instances


async def test_who_heard_it_from_another_instance_says_nothing(fleet: Fleet):
    await fleet.hear(0, Status.HEALTHY, Status.MYSQL_FATAL, heard=True)

    assert fleet.alerts == []
    assert len(fleet.events) == 1


async def test_recovery_that_ends_later_on_another_instance_is_said_once(fleet: Fleet):
    await fleet.hear(0, Status.RECOVERING, Status.HEALTHY)
    await fleet.hear(1, Status.RECOVERING, Status.HEALTHY, after_seconds=500)

    assert [row.event for row in fleet.alerts] == ["resolved"]


async def test_when_nobody_can_be_asked_each_instance_says_it(fleet: Fleet):
    fleet.store.available = False
    for instance in (0, 1):
        await fleet.hear(instance, Status.MYSQL_FATAL, Status.BOTH_FATAL)

    assert [row.event for row in fleet.alerts] == ["updated", "updated"]


async def test_notices_from_before_the_start_are_told_too():
    fleet = Fleet()
    herald = fleet.heralds[0]
    at = {"at": NOW, "since": NOW, "word": NOW, "instance": fleet.instances[0], "reason": "at start"}
    herald.hear(Notice(kind="status", component="store", old=Status.HEALTHY, new=Status.MYSQL_FATAL, **at))
    herald.start(claim=fleet.store.claim, tell=fleet.keep)
    await herald.stop()

    assert len(fleet.alerts) == len(fleet.events) == 1


@pytest.mark.parametrize("status", Status)
def test_every_status_has_its_words(status: Status):
    assert WORDS[status].title
    assert WORDS[status].steps or status is Status.HEALTHY


def test_a_reason_with_a_number_or_a_line_break_is_still_an_event():
    number = "+" + "4477009" + "00123"
    notice = Notice(
        kind="status",
        at=NOW,
        component="store",
        old=Status.HEALTHY,
        new=Status.MYSQL_FATAL,
        reason=f"the store\nsaid {number} " + "x" * 400,
        instance=uuid4().hex,
        since=NOW,
        word=NOW,
    )
    event = status_event(notice)

    assert decode_lines(encode_lines([event])) == ([event], [])
    assert number not in event.reason
