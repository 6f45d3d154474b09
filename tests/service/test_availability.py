"""Calls are counted in the minute of their answer, and each minute is told once."""

from __future__ import annotations

from pathlib import Path

from core.clock import ManualClock
from core.events import Availability
from service.availability import Minutes
from tests.service.stores.facts import NOW
from tests.support.house import open_house
from tests.support.providers import a_number


def test_a_minute_is_given_once_when_it_is_over():
    clock = ManualClock(NOW)
    minutes = Minutes("a" * 32, clock=clock)
    for status in (201, 429, 500, 503):
        minutes.answered(status)
    minutes.shed()
    clock.advance(seconds=60)
    minutes.answered(200)
    [told] = minutes.take(before=clock())

    assert (told.at, told.calls, told.failed, told.shed) == (NOW.replace(second=0, microsecond=0), 5, 3, 1)
    assert minutes.take(before=clock()) == []


async def test_calls_of_the_api_are_told_and_looks_at_its_health_are_not(tmp_path: Path):
    async with open_house(tmp_path) as house:
        await house.verify(a_number())
        await house.call("GET", "/readyz", key="")
        await house.call("POST", "/v1/verifications", {}, key="")
        await house.service.minutes.stop(house.service.publisher.tell)
        told = [event for event in await house.events() if isinstance(event, Availability)]

    assert [(event.calls, event.failed) for event in told] == [(2, 0)]
