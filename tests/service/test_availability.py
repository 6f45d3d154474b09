"""Calls are counted in the minute of their answer, and each minute is told once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.events import Availability, Event
from core.journal import SUFFIX
from service.availability import Journals, Minutes
from service.failover import STORE_FOLDER
from tests.service.stores.facts import NOW
from tests.support.house import open_house
from tests.support.providers import a_number
from tests.support.until import until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def minutes(tmp_path: Path, clock: ManualClock) -> Minutes:
    return Minutes("a" * 32, journals=Journals(tmp_path / "store", tmp_path / "events"), clock=clock)


def journal(folder: Path, size_bytes: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"some{SUFFIX}"
    path.write_bytes(bytes(size_bytes))
    return path


def backlog(event: Availability) -> tuple[int | None, int | None]:
    return event.store_backlog_bytes, event.events_backlog_bytes


def test_a_minute_is_given_once_when_it_is_over(minutes: Minutes, clock: ManualClock):
    for status in (201, 429, 500, 503):
        minutes.answered(status)
    minutes.shed()
    clock.advance(seconds=60)
    minutes.answered(200)
    [told] = minutes.take(before=clock())

    assert (told.at, told.calls, told.failed, told.shed) == (NOW.replace(second=0, microsecond=0), 5, 3, 1)
    assert minutes.take(before=clock()) == []


async def test_a_minute_tells_the_most_that_waited_in_each_journal(
    tmp_path: Path, minutes: Minutes, clock: ManualClock
):
    path = journal(tmp_path / "store", 4_096)
    await minutes.look()
    path.unlink()
    journal(tmp_path / "events", 1_024)
    await minutes.look()
    clock.advance(seconds=60)
    await minutes.look()
    clock.advance(seconds=60)
    told = minutes.take(before=clock())

    assert [backlog(event) for event in told] == [(4_096, 1_024), (0, 1_024)]
    assert [event.calls for event in told] == [0, 0]


async def test_nothing_waits_where_there_is_no_journal(minutes: Minutes, clock: ManualClock):
    await minutes.look()
    clock.advance(seconds=60)

    assert [backlog(event) for event in minutes.take(before=clock())] == [(0, 0)]


async def test_of_journals_that_cannot_be_looked_at_a_minute_says_nothing(clock: ManualClock):
    nowhere = Path("x" * 300)  # a name that no disk takes
    minutes = Minutes("a" * 32, journals=Journals(nowhere, nowhere), clock=clock)
    minutes.answered(200)
    await minutes.look()
    clock.advance(seconds=60)

    [told] = minutes.take(before=clock())

    assert (told.calls, *backlog(told)) == (1, None, None)


async def test_calls_of_the_api_are_told_and_looks_at_its_health_are_not(tmp_path: Path):
    async with open_house(tmp_path) as house:
        await house.verify(a_number())
        await house.call("GET", "/readyz", key="")
        await house.call("POST", "/v1/verifications", {}, key="")
        await house.service.minutes.stop(house.service.publisher.tell)
        told = [event for event in await house.events() if isinstance(event, Availability)]

    assert [(event.calls, event.failed) for event in told] == [(2, 0)]
    assert told[0].store_backlog_bytes == 0
    assert told[0].events_backlog_bytes is not None
    assert told[0].events_backlog_bytes > 0  # nobody published what the call told


async def test_telemetry_shows_what_waits_in_the_journal_of_the_stores(tmp_path: Path):
    async with open_house(tmp_path) as house:
        folder = house.settings.journal.folder / STORE_FOLDER
        folder.parent.mkdir(exist_ok=True)
        journal(folder, 4_096)
        await house.service.minutes.look()
        text = (await house.call("GET", "/metrics", key="")).text

    assert "heliograph_store_backlog_bytes 4096.0" in text


async def test_the_next_minute_is_told_whatever_telling_this_one_came_to(tmp_path: Path, clock: ManualClock):
    told: list[Event] = []

    async def tell(events: Sequence[Event]) -> None:
        clock.advance(seconds=60)
        if clock() < NOW + timedelta(seconds=90):
            raise KeyError("nobody expected this")
        told.extend(events)

    journals = Journals(tmp_path / "store", tmp_path / "events")
    minutes = Minutes("a" * 32, journals=journals, clock=clock, period_seconds=0)
    minutes.start(tell)
    await until(lambda: bool(told))
    await minutes.stop(tell)
